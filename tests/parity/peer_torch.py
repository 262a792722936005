"""The peer in speed: the same models in PyTorch as its users write them.

    python tests/parity/peer_torch.py --pattern T20 --batch 16 --context 2048            training step
    python tests/parity/peer_torch.py --pattern T20 --decode --batch 1 --context 2048    one token from a full cache

Prints one JSON object. Training: forward and backward without an optimizer, median of five after warm-up. Weights are
float32 and cast to bfloat16 where they are used, without autocast; torch.compile, fused attention. M blocks use
mamba-ssm and causal-conv1d, and are skipped where those are not installed. Decoding: weights bfloat16, CUDA graphs.
"""
import argparse
import contextlib
import json
import math
import re
import statistics
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

try:
    from mamba_ssm.ops.selective_scan_interface import mamba_inner_fn
    import causal_conv1d  # noqa: F401  (mamba_inner_fn needs it)
    MAMBA_MISSING = ""
except ImportError as missing:
    MAMBA_MISSING = f"mamba-ssm and causal-conv1d are not both installed ({missing}); patterns with M are skipped"

BF16 = torch.bfloat16
ATTENTION = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}


def letters(pattern):
    """"T12 M8" and "(TM)10" as one letter a layer."""
    text = re.sub(r"\s", "", pattern.upper())
    while "(" in text:
        text = re.sub(r"\(([TM\d]*)\)(\d*)", lambda m: letters(m[1]) * int(m[2] or 1), text, count=1)
    return re.sub(r"([TM])(\d+)", lambda m: m[1] * int(m[2]), text)


def norm(x):
    return F.rms_norm(x, (x.shape[-1],))


class Linear(nn.Linear):
    def __init__(self, rows, columns):
        super().__init__(rows, columns, bias=False)

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


def rotate(x, cos, sin):
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos + second * sin, second * cos - first * sin], -1)


class Transformer(nn.Module):
    def __init__(self, width, head_dim=128):
        super().__init__()
        self.head_dim = head_dim
        self.query, self.key, self.value, self.output = (Linear(width, width) for _ in range(4))
        self.up, self.down = Linear(width, 4 * width), Linear(4 * width, width)

    def heads(self, x, cos, sin):
        q, k, v = (layer(x).view(*x.shape[:2], -1, self.head_dim) for layer in (self.query, self.key, self.value))
        return (norm(rotate(q, cos, sin)).transpose(1, 2), norm(rotate(k, cos, sin)).transpose(1, 2), v.transpose(1, 2))

    def finish(self, x, mixed):
        x = x + self.output(mixed.transpose(1, 2).reshape(x.shape))
        return x + self.down(F.relu(self.up(norm(x))).square())

    def forward(self, x, cos, sin):
        q, k, v = self.heads(norm(x), cos, sin)
        return self.finish(x, F.scaled_dot_product_attention(q, k, v, is_causal=True))

    def step(self, x, cos, sin, keys, values, at):
        """One token; the cache [B,H,C,E] is full up to it, so attention is over all of it."""
        q, k, v = self.heads(norm(x), cos, sin)
        keys.index_copy_(2, at, k)
        values.index_copy_(2, at, v)
        return self.finish(x, F.scaled_dot_product_attention(q, keys, values))


class Mamba(nn.Module):
    """What mamba_ssm.Mamba does in training, with its weights cast where they are used."""

    def __init__(self, width, states=16, taps=4):
        super().__init__()
        inner, self.rank = 2 * width, math.ceil(width / 16)
        self.into, self.out = Linear(width, 2 * inner), Linear(inner, width)
        self.select, self.dt = Linear(inner, self.rank + 2 * states), Linear(self.rank, inner)
        self.conv = nn.Parameter(torch.empty(inner, 1, taps).uniform_(-0.5, 0.5))
        self.conv_bias = nn.Parameter(torch.zeros(inner))
        self.dt_bias = nn.Parameter(torch.empty(inner).uniform_(-6, -3))
        self.a_log = nn.Parameter(torch.arange(1, states + 1).float().log().repeat(inner, 1))
        self.d = nn.Parameter(torch.ones(inner))

    def forward(self, x, _cos, _sin):
        xz = self.into.weight.to(BF16) @ norm(x).transpose(1, 2)  # [B,2I,T]
        return x + mamba_inner_fn(
            xz, self.conv.to(BF16), self.conv_bias.to(BF16), self.select.weight.to(BF16), self.dt.weight.to(BF16),
            self.out.weight.to(BF16), None, -self.a_log.exp(), None, None, self.d, delta_bias=self.dt_bias, delta_softplus=True)


class Model(nn.Module):
    def __init__(self, pattern, width, vocab, context):
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.blocks = nn.ModuleList({"T": Transformer, "M": Mamba}[letter](width) for letter in pattern)
        self.head = Linear(width, vocab)
        angle = torch.arange(context)[:, None] * 10000.0 ** (-torch.arange(64) / 64)
        self.register_buffer("cos", angle.cos().to(BF16)[None, :, None])
        self.register_buffer("sin", angle.sin().to(BF16)[None, :, None])

    def logits(self, x):
        return 15 * torch.tanh(self.head(norm(x)).float() / 15)

    def forward(self, tokens, targets):
        x = norm(self.embedding(tokens).to(BF16))
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return F.cross_entropy(self.logits(x).flatten(0, 1), targets.flatten(), ignore_index=-1)

    def step(self, tokens, cache, at):
        """tokens [B,1] to the likeliest next ones [B,1]."""
        x = norm(self.embedding(tokens).to(BF16))
        cos, sin = self.cos.index_select(1, at), self.sin.index_select(1, at)
        for block, (keys, values) in zip(self.blocks, cache):
            x = block.step(x, cos, sin, keys, values, at)
        return self.logits(x).argmax(-1)


def milliseconds(run, times=5, inner=1):
    """Median time of a run by CUDA events."""
    taken = []
    for _ in range(times):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(inner):
            run()
        stop.record()
        stop.synchronize()
        taken.append(start.elapsed_time(stop) / inner)
    return statistics.median(taken), taken


def time_training(model, o):
    tokens = torch.randint(o.vocab, (o.batch, o.context + 1), device="cuda")
    tokens, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    forward = model if o.eager else torch.compile(model, dynamic=False)

    def run():
        model.zero_grad(set_to_none=True)
        loss = forward(tokens, targets)
        loss.backward()
        return loss
    with sdpa_kernel(ATTENTION[o.attention]) if o.attention != "default" else contextlib.nullcontext():
        for _ in range(3):
            loss = run()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        median, taken = milliseconds(run)
    return {"milliseconds": median, "all_milliseconds": taken, "tokens_per_second": o.batch * o.context / median * 1e3,
            "peak_gib": torch.cuda.max_memory_allocated() / 2**30, "loss": loss.item()}


@torch.no_grad()
def time_decoding(model, o):
    model = model.to(BF16)
    token = torch.zeros(o.batch, 1, dtype=torch.int64, device="cuda")
    at = torch.tensor([o.context - 1], device="cuda")
    shape = (o.batch, o.width // 128, o.context, 128)
    cache = [tuple(torch.randn(shape, device="cuda", dtype=BF16) for _ in range(2)) for _ in model.blocks]
    if o.uncompiled:
        for _ in range(3):
            model.step(token, cache, at)
        median, _ = milliseconds(lambda: model.step(token, cache, at), inner=20)
        return {"milliseconds": median, "tokens_per_second": o.batch / median * 1e3, "cuda_graph": False}
    found = {}
    for name, step in {"eager": model.step, "compiled": torch.compile(model.step, dynamic=False)}.items():
        if name == "compiled" and o.eager:
            continue
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # warm up, as capture wants it
            for _ in range(3):
                step(token, cache, at)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            token.copy_(step(token, cache, at))
        milliseconds(graph.replay, inner=20)
        found[name], _ = milliseconds(graph.replay, inner=50)
    best = min(found, key=found.get)
    return {"milliseconds": found[best], "tokens_per_second": o.batch / found[best] * 1e3, "best": best, "milliseconds_by_way": found,
            "cuda_graph": True}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pattern", default="T20")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--vocab", type=int, default=65536)
    parser.add_argument("--width", type=int, default=0, help="0: 64 a layer, rounded up to a multiple of 128")
    parser.add_argument("--attention", choices=["default", *ATTENTION], default="default", help="which fused attention trains")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    parser.add_argument("--decode", action="store_true")
    parser.add_argument("--uncompiled", action="store_true", help="decode without CUDA graphs, as nanochat's engine does")
    o = parser.parse_args()
    pattern = letters(o.pattern)
    if not re.fullmatch("[TM]+", pattern):
        parser.error(f'pattern {o.pattern!r}: write for example "T12 M8" or "(TM)10"')
    o.width = o.width or -(-64 * len(pattern) // 128) * 128
    if o.width % 128:
        parser.error(f"width {o.width}: heads have 128 channels; give a multiple of 128")
    result = {"peer": "pytorch", "torch": torch.__version__, "mode": "decode" if o.decode else "forward+backward", **vars(o), "layers": pattern}
    if not torch.cuda.is_available():
        sys.exit("peer_torch: no CUDA device is visible to PyTorch")
    result["device"] = torch.cuda.get_device_name()
    if "M" in pattern and (MAMBA_MISSING or o.decode):
        result["skipped"] = MAMBA_MISSING or "only T blocks can be decoded here"
    else:
        torch.manual_seed(1)
        with torch.device("cuda"):
            model = Model(pattern, o.width, o.vocab, o.context)
        result["parameters"] = sum(p.numel() for p in model.parameters())
        result.update(time_decoding(model, o) if o.decode else time_training(model, o))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
