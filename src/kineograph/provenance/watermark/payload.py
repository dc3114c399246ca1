"""A payload of 32 bits ↔ 192 signs: a check sum, then a tail-biting convolutional code, read softly.

The code has rate 1/4 and memory 8 (free distance 24; Lin & Costello, Error Control Coding, table 12.1). It
bites its tail: it begins in the state in which it ends, so no bits are spent on an end.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

import numpy as np
from einops import rearrange
from numpy.typing import NDArray

Bits = NDArray[np.int8]
Floats = NDArray[np.float32]

PAYLOAD_BITS, CHECK_BITS = 32, 16
BITS = PAYLOAD_BITS + CHECK_BITS
GENERATORS, MEMORY = (0o463, 0o535, 0o733, 0o745), 8
RATE = len(GENERATORS)
SIGNS = BITS * RATE
STATES = 2**MEMORY
MENDED = 11  # wrong signs of SIGNS that are mended wherever they are: half the free distance
CIRCUITS = 2  # of the decoder, so that half-way it no longer matters that it knew no first state


@dataclass(frozen=True, eq=False)
class Decoded:
    """What was read from each row: the payload, whether its check sum is right, and the signs it is sent as.

    payload (N,) int64; checked (N,) bool; signs (N, SIGNS) int8, +1 or -1.
    """

    payload: NDArray[np.int64]
    checked: NDArray[np.bool_]
    signs: Bits


def encode(payload: int) -> Bits:
    """(SIGNS,) +1 or -1; payload from 0 to 2**32 - 1."""
    assert 0 <= payload < 2**PAYLOAD_BITS, payload
    word = payload << CHECK_BITS | _check_sum(payload)
    bits = np.array([[word >> (BITS - 1 - at) & 1 for at in range(BITS)]], np.int8)
    return _signs_of(bits).ravel()


def decode(soft: Floats) -> Decoded:
    """The likeliest bits behind soft signs (N, SIGNS): the larger, the surer that it is a +1."""
    bits = _likeliest(soft)
    words = [int("".join(map(str, row)), 2) for row in bits]
    payloads = [word >> CHECK_BITS for word in words]
    right = [word & (2**CHECK_BITS - 1) == _check_sum(word >> CHECK_BITS) for word in words]
    return Decoded(np.array(payloads, np.int64), np.array(right, np.bool_), _signs_of(bits))


def _check_sum(payload: int) -> int:
    return binascii.crc_hqx(payload.to_bytes(PAYLOAD_BITS // 8), 0xFFFF)


def _signs_of(bits: Bits) -> Bits:
    """(N, BITS) of 0 and 1 → (N, SIGNS)."""
    wide = bits.astype(np.int64)
    registers = sum(np.roll(wide, age, axis=1) << (MEMORY - age) for age in range(MEMORY + 1))
    signs: Bits = _OUTPUTS[registers].reshape(len(bits), SIGNS)
    return signs


def _outputs() -> Bits:
    """(2 STATES, RATE) the signs sent for each content of the register, its newest bit the highest."""
    registers = np.arange(2 * STATES)
    parities = [[int(r & g).bit_count() % 2 for g in GENERATORS] for r in registers.tolist()]
    return (1 - 2 * np.array(parities)).astype(np.int8)


_OUTPUTS = _outputs()


def _likeliest(soft: Floats) -> Bits:
    """(N, SIGNS) → (N, BITS) by the Viterbi algorithm, twice round (Cox & Sundberg 1994).

    State n is reached from the two states whose lower bits are its upper ones: the register between is 2 n or
    2 n + 1. So the even registers lead from the even states, and each of these leads to n and n + STATES / 2.
    """
    gains = rearrange(soft, "n (bit rate) -> bit rate n", rate=RATE)
    even, odd = (_OUTPUTS[start::2].astype(np.float32) for start in (0, 1))
    total = np.zeros((STATES, len(soft)), np.float32)
    from_odd = np.empty((CIRCUITS * BITS, *total.shape), np.bool_)
    for step in range(CIRCUITS * BITS):
        gain = gains[step % BITS]
        one, other = np.tile(total[::2], (2, 1)) + even @ gain, np.tile(total[1::2], (2, 1)) + odd @ gain
        np.greater(other, one, out=from_odd[step])
        total = np.maximum(one, other)
    return _traced(total.argmax(0), from_odd)


def _traced(state: NDArray[np.int64], from_odd: NDArray[np.bool_]) -> Bits:
    """Back from the last states (N,): the bits half-way, which neither end has much say in."""
    words, bits = np.arange(len(state)), np.empty((len(from_odd), len(state)), np.int8)
    for step in range(len(from_odd) - 1, -1, -1):
        bits[step] = state >> (MEMORY - 1)
        state = (state << 1) % STATES + from_odd[step, state, words]
    return np.roll(bits[BITS // 2 : BITS // 2 + BITS], BITS // 2, axis=0).T
