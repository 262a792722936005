"""Tandem's models and their optimizer in plain PyTorch, written to be read: loops over time, no fused operation.

A model is {"pattern", "width", "vocab", "blocks"} in the words of Tandem's configuration; its weights are a dictionary
by Tandem's names.
"""
import math

import numpy as np
import torch
import torch.nn.functional as F

SOFTCAP, EPSILON = 15.0, 1e-6

# Compute dtype of activations and products, and dtype of everything else.
PRECISIONS = {
    "float64": (torch.float64, torch.float64),
    "float32": (torch.float32, torch.float32),
    "bfloat16": (torch.bfloat16, torch.float32),
}


# The weights: name, shape, offset, scale, optimizer group. Matrices are [in, out], so y = x @ W. Every tensor is far from
# zero, also those that Tandem starts at zero.

def matrix(name, rows, columns):
    return name, (rows, columns), 0.0, math.sqrt(3 / rows), "matrix"


def mlp_weights(width):
    return [matrix("mlp.up", width, 4 * width), matrix("mlp.down", 4 * width, width)]


def transformer_weights(width, o):
    query = width // o["head_dim"] * o["head_dim"]
    kv = o.get("kv_heads", width // o["head_dim"]) * o["head_dim"]
    return [matrix("attention.query", width, query), matrix("attention.key", width, kv), matrix("attention.value", width, kv),
            matrix("attention.output", query, width), *mlp_weights(width)]


def mamba_weights(width, o):
    states, taps, inner, rank = o.get("state", 16), o.get("conv", 4), 2 * width, math.ceil(width / 16)
    return [
        matrix("mamba.in_u", width, inner), matrix("mamba.in_z", width, inner),
        ("mamba.conv.weight", (taps, inner), 0.0, 1.0, "scalar"), ("mamba.conv.bias", (inner,), 0.0, 0.5, "scalar"),
        matrix("mamba.x", inner, rank + 2 * states), matrix("mamba.dt", rank, inner),
        ("mamba.dt_bias", (inner,), -2.0, 2.0, "scalar"), ("mamba.a_log", (inner, states), 1.0, 1.0, "scalar"),
        ("mamba.d", (inner,), 1.0, 0.5, "scalar"), matrix("mamba.out", inner, width), *(mlp_weights(width) if o.get("mlp") else []),
    ]


KINDS = {"T": ("transformer", transformer_weights), "M": ("mamba", mamba_weights)}


def declare(model):
    """Tandem's order: embedding, head, then the blocks."""
    width, vocab = model["width"], model["vocab"]
    weights = [("embedding", (vocab, width), 0.0, 1.0, "embedding"), ("head", (width, vocab), 0.0, math.sqrt(3 / width), "head")]
    for i, letter in enumerate(model["pattern"]):
        kind, of_block = KINDS[letter]
        weights += [(f"blocks.{i:02d}.{name}", *rest) for name, *rest in of_block(width, model["blocks"].get(kind, {}))]
    return weights


# The model. Norms, convolution, scan, softmax and loss are in the high dtype; all else is in that of x.

class Model:
    def __init__(self, model, weights, precision):
        self.model, self.weights = model, weights
        self.compute, self.high = PRECISIONS[precision]

    def dense(self, x, name):
        return x @ self.weights[name].to(self.compute)

    def norm(self, x):
        wide = x.to(self.high)
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + EPSILON)).to(x.dtype)

    def rotate(self, x, base=10000.0):
        """RoPE: channel j is paired with j+E/2 and turned by -position*base^(-2j/E)."""
        half = x.shape[-1] // 2
        frequency = base ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = (torch.arange(x.shape[1], dtype=torch.float64)[:, None] * frequency)[:, None, :]
        cos, sin = angle.cos().to(self.high), angle.sin().to(self.high)
        first, second = x.to(self.high).split(half, -1)
        return torch.cat([first * cos + second * sin, second * cos - first * sin], -1)

    def attention(self, at, o, x, documents):
        batch, time, size = *x.shape[:2], o["head_dim"]

        def heads(name):
            return self.dense(x, f"{at}.attention.{name}").view(batch, time, -1, size)
        q, k = (self.norm(self.rotate(heads(name))).to(self.compute).transpose(1, 2) for name in ("query", "key"))
        v = heads("value").transpose(1, 2)
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        hidden = torch.ones(time, time, dtype=torch.bool).triu(1).expand(batch, time, time)
        if o.get("mask_documents"):
            hidden = hidden | (documents[:, :, None] != documents[:, None, :])
        scores = (q @ k.transpose(2, 3)).to(self.high) / math.sqrt(size)
        shares = scores.masked_fill(hidden[:, None], -math.inf).softmax(-1).to(self.compute)
        return self.dense((shares @ v).transpose(1, 2).reshape(batch, time, -1), f"{at}.attention.output")

    def mlp(self, at, x):
        return self.dense(F.relu(self.dense(x, f"{at}.mlp.up")).square(), f"{at}.mlp.down")

    def conv(self, at, x, documents):
        """y_t = bias + sum_w weight_w * x_{t-W+1+w} over the tokens of t's document."""
        weight, x = self.weights[f"{at}.mamba.conv.weight"], x.to(self.high)
        taps, time, y = weight.shape[0], x.shape[1], self.weights[f"{at}.mamba.conv.bias"]
        for tap in range(taps):
            back = taps - 1 - tap
            same = (documents[:, back:] == documents[:, :time - back])[:, :, None]
            y = y + F.pad(x[:, :time - back] * same, (0, 0, back, 0)) * weight[tap]
        return y

    def mamba(self, at, o, x, documents):
        states, high, w = o.get("state", 16), self.high, self.weights
        u = F.silu(self.conv(at, self.dense(x, f"{at}.mamba.in_u"), documents)).to(self.compute)
        z = self.dense(x, f"{at}.mamba.in_z")
        rank, b, c = self.dense(u, f"{at}.mamba.x").split([w[f"{at}.mamba.dt"].shape[0], states, states], -1)
        delta = F.softplus(self.dense(rank, f"{at}.mamba.dt").to(high) + w[f"{at}.mamba.dt_bias"])
        u, b, c = u.to(high), b.to(high), c.to(high)
        a = -w[f"{at}.mamba.a_log"].exp()
        h, y = torch.zeros(x.shape[0], u.shape[-1], states, dtype=high), []
        for t in range(x.shape[1]):
            if t > 0:
                h = h * (documents[:, t] == documents[:, t - 1])[:, None, None]
            h = (delta[:, t, :, None] * a).exp() * h + (delta[:, t] * u[:, t])[:, :, None] * b[:, t, None, :]
            y.append((h * c[:, t, None, :]).sum(-1))
        out = (torch.stack(y, 1) + u * w[f"{at}.mamba.d"]) * F.silu(z.to(high))
        return self.dense(out.to(self.compute), f"{at}.mamba.out")

    def logits(self, tokens, documents):
        x = self.norm(F.embedding(tokens, self.weights["embedding"]).to(self.compute))
        for i, letter in enumerate(self.model["pattern"]):
            at, kind = f"blocks.{i:02d}", KINDS[letter][0]
            o = self.model["blocks"].get(kind, {})
            x = x + {"T": self.attention, "M": self.mamba}[letter](at, o, self.norm(x), documents)
            if letter == "T" or o.get("mlp"):
                x = x + self.mlp(at, self.norm(x))
        raw = self.dense(self.norm(x), "head").to(self.high)
        return SOFTCAP * torch.tanh(raw / SOFTCAP)

    def loss(self, tokens, targets, documents):
        logits = self.logits(tokens, documents)
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


# The optimizer: Muon for matrices, AdamW for the rest. Its guard against spikes first counts after 50 steps.

POLAR_EXPRESS = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462), (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393), (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]


def learning_rates(options, width):
    narrow = math.sqrt(768 / width)
    return {"matrix": options["matrix_lr"], "embedding": options["embedding_lr"] * narrow, "head": options["head_lr"] * narrow,
            "scalar": options["scalar_lr"]}


def schedule(options, step):
    """The factor of all learning rates, Muon's momentum and its weight decay; float32, as the compiled step has them."""
    steps, warmup = options["steps"], options["warmup"]
    if step < warmup:
        lr = (step + 1) / warmup
    else:
        left = min(1.0, (steps - step) / max(1, round(0.4 * steps)))
        lr = left + (1 - left) * 0.05
    momentum = 0.85 + 0.10 * min(1.0, step / 300)
    decay = options["weight_decay"] * 0.5 * (1 + math.cos(math.pi * step / steps))
    return (float(np.float32(rate)) for rate in (lr, momentum, decay))


def polar(x, compute, high):
    rows, columns = x.shape
    neurons = x.square().sum(0, keepdim=True).sqrt()
    x = x * (x.norm() / math.sqrt(columns) / neurons.clamp(min=1e-6))
    x = (x / (1.01 * x.norm() + 1e-6)).to(compute)
    for a, b, c in POLAR_EXPRESS:
        if rows <= columns:
            gram = x @ x.T
            x = a * x + (b * gram + c * (gram @ gram)) @ x
        else:
            gram = x.T @ x
            x = a * x + x @ (b * gram + c * (gram @ gram))
    x = x.to(high)
    return x * (math.sqrt(min(rows, columns)) / x.norm().clamp(min=1e-10))


def muon(p, g, state, lr, momentum, decay, compute):
    state["momentum"] = momentum * state.get("momentum", torch.zeros_like(p)) + (1 - momentum) * g
    update = polar((1 - momentum) * g + momentum * state["momentum"], compute, p.dtype)
    rows, columns = p.shape
    square = update.square().mean(0 if columns >= rows else 1, keepdim=True)
    state["second"] = 0.9 * state.get("second", torch.zeros_like(square)) + 0.1 * square
    scaled = update * torch.rsqrt(state["second"].clamp(min=1e-10))
    update = scaled * (update.norm() / scaled.norm().clamp(min=1e-10))
    lr = lr * math.sqrt(max(1, columns / rows))
    return p - lr * (update + decay * p * (update * p >= 0))


def adamw(p, g, state, lr, step):
    state["mean"] = 0.8 * state.get("mean", torch.zeros_like(p)) + 0.2 * g
    state["square"] = 0.95 * state.get("square", torch.zeros_like(p)) + 0.05 * g.square()
    deviation = (state["square"] / (1 - 0.95**step)).sqrt() + 1e-10
    return p - lr / (1 - 0.8**step) * state["mean"] / deviation
