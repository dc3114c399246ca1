"""The denoiser against the same network written block by block, as the papers have it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange

from kineograph.models.denoiser import PATCH, Denoiser, DenoiserConfig
from kineograph.models.guides import fold_guides, untold
from kineograph.models.layers import rotate, time_features

CONFIG = DenoiserConfig(
    8, (3, 4, 6), canvas=16, canvas_width=4, text_width=24, width=32, hidden=40, depth=3, heads=2
)


def block_by_block(net: Denoiser, z, time, text, canvas):
    known = torch.zeros(*z.shape[:2], CONFIG.canvas_width, *z.shape[3:])
    known[len(z) - len(canvas) :] = rearrange(net.enter_canvas(canvas), "b t h w c -> b t c h w")
    cells = torch.cat([z, known], dim=2)
    x = net.enter(rearrange(cells, "b t c (h p) (w q) -> b t (h w) (c p q)", p=PATCH, q=PATCH))
    mood = net.time(time_features(time, CONFIG.width)) + net.summary(text.mean(dim=1))[:, None]
    mood = F.silu(mood)[:, :, None]
    for block in net.blocks:
        shift, scale, gate, *mlp = (net.modulation(mood) + block.bias).chunk(6, dim=-1)
        y = F.rms_norm(x, x.shape[-1:]) * (1 + scale) + shift
        x = x + gate * attention(net, block, y, text)
        y = F.rms_norm(x, x.shape[-1:]) * (1 + mlp[1]) + mlp[0]
        x = x + mlp[2] * block.mlp(y)
    shift, scale = net.modulation_out(mood).chunk(2, dim=-1)
    made = net.leave(F.rms_norm(x, x.shape[-1:]) * (1 + scale) + shift)
    columns = CONFIG.grid[2] // PATCH
    return rearrange(made, "b t (h w) (c p q) -> b t c (h p) (w q)", w=columns, p=PATCH, q=PATCH)


def attention(net, block, x, text):
    q, k, v = (heads_of(values) for values in block.qkv(x.flatten(1, 2)).chunk(3, dim=-1))
    k_text, v_text = (heads_of(values) for values in block.caption(text).chunk(2, dim=-1))
    angles = [angle.reshape(q.shape[1], 1, -1) for angle in (net.cos, net.sin)]
    q, k = rotate(block.norm_q(q), *angles), rotate(block.norm_k(k), *angles)
    keys, values = torch.cat([k, block.norm_k(k_text)], dim=1), torch.cat([v, v_text], dim=1)
    seen = F.scaled_dot_product_attention(*(one.transpose(1, 2) for one in (q, keys, values)))
    return block.join(rearrange(seen, "b h (t n) e -> b t n (h e)", t=x.shape[1]))


@torch.no_grad()
def test_what_is_said_of_a_thing_comes_to_where_that_is_led():
    """Words swapped between two things are as their places swapped, where nothing else tells them apart."""
    torch.manual_seed(0)
    net = Denoiser(CONFIG)
    for name, parameter in net.named_parameters():
        torch.nn.init.normal_(parameter, std=0.0 if name.endswith("caption.weight") else 0.2)
    z, time, text = torch.randn(1, 3, 8, 4, 6), torch.rand(1, 3), torch.randn(1, 5, 24)
    guides = fold_guides(untold(1, (3, 4, 6), 8))
    led = guides._replace(places=torch.rand(1, 3, 4, 6, 3))
    other = led._replace(places=led.places[..., [1, 0, 2]])
    swapped = text[:, [0, 1, 3, 2, 4]]
    made = net(z, time, text, guides=led)
    assert torch.allclose(net(z, time, swapped, guides=other), made, atol=1e-4)
    assert not torch.allclose(net(z, time, swapped, guides=led), made, atol=1e-2)


def heads_of(values):
    return values.unflatten(-1, (CONFIG.heads, -1))


@torch.no_grad()
def test_all_blocks_at_once_is_the_same_as_block_by_block():
    torch.manual_seed(0)
    net = Denoiser(CONFIG)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    z, time = torch.randn(3, 3, 8, 4, 6), torch.rand(3, 3)
    text, canvas = torch.randn(3, 5, 24), torch.randn(2, 3, 4, 6, 16)
    expected = block_by_block(net, z, time, text, canvas)
    assert expected.std() > 0.1
    assert torch.allclose(net(z, time, text, canvas), expected, rtol=1e-4, atol=1e-4)
