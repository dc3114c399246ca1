"""Who signs: a certificate of one's own, or a local one that is made when it is first needed.

What is kept in the folder `home()`:

    signer/chain.pem    the local certificate and its root
    signer/root.pem     that root by itself
    signer/key.pem      the local key, for its owner alone (mode 0600)
    signer.json         optional: a certificate of one's own instead, see `Settings`
    trusted/*.pem       optional: roots of others that `verify` is to trust
    watermark.key       optional: a secret key for watermarks, 32 or more hexadecimal digits

The local root's key is thrown away once it has signed the one certificate, so nobody can issue another under
it. A local certificate tells files of one machine from those of others; it doesn't say who owns the machine.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kineograph.config import from_dict
from kineograph.errors import OutputError, RequestError
from kineograph.media.atomic import explaining, replacing
from kineograph.provenance.watermark import PUBLIC_KEY

HOME = "KINEO_HOME"  # the environment variable that names another folder
YEARS = 10  # without a time stamp a signature ends with its certificate
COMMAND_SECONDS = 30
ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")
SUBJECT = "Kineograph on this machine"

Callback = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Settings:
    """What signer.json may hold: the certificate, and its key or a command that signs with it.

    certificates: a PEM file, the signer's own first and its root last; relative to the folder of signer.json.
    key: a PEM file (PKCS #8).
    command: a program with its arguments, such as that of a key management service, which reads the bytes to
        sign from its input and writes the signature (raw r || s for ES) to its output.
    algorithm: one of `ALGORITHMS`.
    time_stamp: the URL of a time stamp server (RFC 3161); it is asked at every export.
    """

    certificates: str
    key: str | None = None
    command: tuple[str, ...] = ()
    algorithm: str = "es256"
    time_stamp: str | None = None


@dataclass(frozen=True)
class Identity:
    """A chain of certificates in PEM, and the key in PEM or a `callback` that signs bytes with it."""

    chain: str
    key: str | None = field(default=None, repr=False)
    callback: Callback | None = None
    algorithm: str = "es256"
    time_stamp: str | None = None


def home() -> Path:
    """The folder for what belongs to the user of this machine, by the XDG rules unless `HOME` names one."""
    named = os.environ.get(HOME)
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(named) if named else Path(base) / "kineograph"


def identity() -> Identity:
    """Whoever signs on this machine.

    Raises:
        RequestError: signer.json is not as it must be.
        OutputError: no local certificate can be made or read.
    """
    folder = home()
    settings = folder / "signer.json"
    return _configured(settings) if _is_there(settings) else _local(folder / "signer")


def anchors(more: Sequence[Path] = ()) -> str:
    """The roots that are trusted here, in PEM: that of the local certificate, those in trusted/, and `more`.

    Raises:
        RequestError: one of the files can't be read, or holds no certificate.
    """
    own = home() / "signer" / "root.pem"
    files = [*([own] if _is_there(own) else []), *sorted((home() / "trusted").glob("*.pem")), *more]
    return "\n".join(map(_roots, files))


def _roots(path: Path) -> str:
    """What a file holds, checked: one damaged root would make all that is signed unreadable."""
    text = _read(path)
    try:
        x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise RequestError(f"{path} holds no whole certificate in PEM: mend it, or do without it.") from error
    return text


def watermark_key() -> bytes:
    """The key of the watermarks that are made here: the public one unless there is a secret one.

    Raises:
        RequestError: watermark.key is not as it must be.
    """
    path = home() / "watermark.key"
    if not _is_there(path):
        return PUBLIC_KEY
    text = _read(path).strip()
    if not re.fullmatch("([0-9a-fA-F]{2}){16,}", text):
        raise RequestError(f"{path} must hold 32 or more hexadecimal digits: mend or remove it.")
    return bytes.fromhex(text)


# Of one's own


def _configured(path: Path) -> Identity:
    """What signer.json names."""
    try:
        values = json.loads(_read(path))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise RequestError(
            f"{path} must hold a JSON object with 'certificates' and 'key'; mend or remove it."
        )
    try:
        given = from_dict(Settings, values)
    except RequestError as error:
        raise RequestError(f"In {path}: {error}") from error
    if given.algorithm not in ALGORITHMS:
        raise RequestError(f"The algorithm in {path} must be one of {', '.join(ALGORITHMS)}.")
    if bool(given.key) == bool(given.command):
        raise RequestError(f"Give either 'key' or 'command' in {path}.")
    return Identity(
        chain=_read(path.parent / given.certificates),
        key=_read(path.parent / given.key) if given.key else None,
        callback=_command(given.command) if given.command else None,
        algorithm=given.algorithm,
        time_stamp=given.time_stamp,
    )


def _command(words: tuple[str, ...]) -> Callback:
    """A callback that lets a program sign."""

    def sign(data: bytes) -> bytes:
        done = subprocess.run(words, input=data, capture_output=True, timeout=COMMAND_SECONDS, check=True)  # noqa: S603
        return done.stdout

    return sign


def _is_there(path: Path) -> bool:
    """Where that can't be known, another key must not take its place in silence: raises RequestError."""
    try:
        return path.exists()
    except OSError as error:
        raise RequestError(
            f"{path} can't be looked for ({error.strerror}): mend that, or name another folder by {HOME}."
        ) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # of no text, and of a name that no file may have
        reason = getattr(error, "strerror", None) or "it is no text"
        raise RequestError(f"{path} can't be read ({reason}): mend it, or do without it.") from error


# The local one


def _local(folder: Path) -> Identity:
    if not _is_there(folder / "chain.pem"):
        _make(folder)
    return Identity(_read(folder / "chain.pem"), _read(folder / "key.pem"))


def _make(folder: Path) -> None:
    """Both files at once, for its owner alone; if another process was faster, its certificate stays."""
    leaf, root, key = _issue()
    files = {"chain.pem": leaf + root, "root.pem": root, "key.pem": key}
    try:
        with explaining(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing(folder, folder=True) as part, explaining(folder):
            part.chmod(0o700)
            for name, text in files.items():
                (part / name).touch(mode=0o600)
                (part / name).write_text(text, encoding="utf-8")
    except OutputError as error:
        if not _is_there(folder / "chain.pem"):
            raise OutputError(
                f"No key to sign with can be made, as {folder} can't be written or holds something else: "
                f"move that away, or name another folder by {HOME}."
            ) from error


def _issue() -> tuple[str, str, str]:
    """A new certificate, its root, and its key, in PEM."""
    root_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    root_name, name = _name(f"{SUBJECT}, root"), _name(SUBJECT)
    root = (
        _builder(root_name, root_name, root_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        _builder(name, root_name, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        # Of the purposes that C2PA names, the one that needs no extra trust setting.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
        )
        .sign(root_key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return _pem(leaf), _pem(root), private.decode()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Kineograph"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # the clocks of others may be behind
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(**uses: bool) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{use: uses.get(use, False) for use in every})
