"""The peer in quality: nanochat's model and optimizer of autumn 2025, trained in PyTorch on the batches of a run.

    workbench train --data … --pattern T12 --width 768 --vocab 16384 --context 1024 --batch 16 --seed 1 --run RUN
    python tests/parity/train_torch.py --run RUN
    python tests/parity/train_torch.py --tokens CACHE/shards/NAME --tokenizer CACHE/tokenizers/NAME.json --width 768 …

Prints one JSON object: validation bits per byte ("bpb", to be held against the run's "last_bpb" in its newest
state.json), seconds of training (compilation included), and every setting. With --run, tokens, batches and their order,
steps, width, context and validation batches are the run's; "same_batches" says that the position after the last batch
is that in its checkpoint. To compare, train both with seeds 1, 2 and 3, and hold the best of one against that of the
other.

Model, initial weights, optimizer and schedules are nanochat's from 3a5e0bc (2025-10-13) to 16788ee (2025-11-23), with
its defaults and not the run's, but for the softcap in float32, as from December. On CUDA it computes in bfloat16,
compiled; elsewhere in float32. Needs PyTorch 2.4 and NumPy.
"""
import argparse
import glob
import json
import math
import os
import platform
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import batches as data
from peer_torch import Linear, Transformer, letters, norm

NEWTON_SCHULZ = 3.4445, -4.7750, 2.0315
ADAMW = {"betas": (0.8, 0.95), "eps": 1e-10, "weight_decay": 0.0}
CLIP = 1.0  # norm of all gradients


class Autumn(nn.Module):
    """Token embedding, norm, T blocks with heads of 128, norm, untied head, softcap 15. nanochat stores the embedding in
    the dtype of computing (narrow), all other weights in float32."""

    def __init__(self, depth, width, vocab, context, compute, narrow=True):
        super().__init__()
        self.compute, heads = compute, max(1, -(-width // 128))
        size = width // heads
        if width % heads or size % 2:
            raise ValueError(f"width {width}: no {heads} heads of equal and even size; give a multiple of 128")
        self.embedding = nn.Embedding(vocab, width)
        self.blocks = nn.ModuleList(Transformer(width, size) for _ in range(depth))
        self.head = Linear(width, vocab)
        self.draw()
        self.embedding.to(compute if narrow else torch.float32)
        angle = torch.arange(context)[:, None] * 10000.0 ** (-torch.arange(size // 2) / (size // 2))
        self.register_buffer("cos", angle.cos().to(compute)[None, :, None])
        self.register_buffer("sin", angle.sin().to(compute)[None, :, None])

    @torch.no_grad()
    def draw(self):
        """Linear: Normal(0, min(1, √(out/in))/√in); embedding: Normal(0, 1); what ends a branch, and the head: zero."""
        self.embedding.weight.normal_()
        ends = {self.head, *(layer for block in self.blocks for layer in (block.output, block.down))}
        for layer in self.modules():
            if isinstance(layer, Linear):
                rows, columns = layer.weight.shape
                layer.weight.normal_(0, 0 if layer in ends else min(1, math.sqrt(rows / columns)) / math.sqrt(columns))

    def forward(self, tokens, targets, reduction):
        """Nats of targets [B,T]: their mean, or each of them [B·T], 0 where there is none (-1)."""
        x = norm(self.embedding(tokens).to(self.compute))
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = 15 * torch.tanh(self.head(norm(x)).float() / 15)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction=reduction)


def orthogonal(x, compute):
    """Five Newton-Schulz steps of each matrix of x [K,R,C], smaller side first."""
    x, (a, b, c) = x.to(compute), NEWTON_SCHULZ
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / (torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.transpose(1, 2) if tall else x


class Muon:
    """Nesterov momentum, made orthogonal, for matrices [out, in]; those of a shape are stepped together."""

    def __init__(self, matrices, lr, compute):
        self.lr, self.compute, shapes = lr, compute, {}
        for matrix in matrices:
            shapes.setdefault(matrix.shape, []).append(matrix)
        self.groups = [(same, torch.zeros(len(same), *shape, device=same[0].device)) for shape, same in shapes.items()]

    @torch.no_grad()
    def step(self, factor, momentum):
        for matrices, buffer in self.groups:
            gradient = torch.stack([matrix.grad for matrix in matrices])
            buffer.lerp_(gradient, 1 - momentum)
            update = orthogonal(gradient.lerp(buffer, momentum), self.compute)
            rows, columns = matrices[0].shape
            for matrix, of in zip(matrices, update.float()):
                matrix.add_(of, alpha=-self.lr * factor * math.sqrt(max(1, rows / columns)))


def schedule(o, step):
    """The factor of all learning rates, and Muon's momentum; nanochat does not warm up, and falls to 0 at the end."""
    warmup, warmdown, factor = round(o.warmup * o.steps), round(o.warmdown * o.steps), 1.0
    if step < warmup:
        factor = (step + 1) / warmup
    elif step > o.steps - warmdown:
        left = (o.steps - step) / warmdown
        factor = left + (1 - left) * o.final_lr
    return factor, 0.85 + 0.10 * min(1, step / 300)


def lr_factor(o):
    """AdamW's rates are for width 768."""
    return (o.width / 768) ** -0.5


def train(model, forward, drawn, o):
    """Trains on drawn [steps, inputs and targets, B, T]; returns losses, seconds, and those of the first step."""
    muon = Muon(list(model.blocks.parameters()), o.matrix_lr, model.compute)
    rates = {model.embedding: o.embedding_lr * lr_factor(o), model.head: o.head_lr * lr_factor(o)}
    adamw = torch.optim.AdamW([{"params": layer.parameters(), "rate": rate} for layer, rate in rates.items()],
                              lr=0.0, **ADAMW, fused=drawn.is_cuda)
    losses, first, start = [], 0, time.monotonic()
    for step, (tokens, targets) in enumerate(drawn):
        loss = forward(tokens.long(), targets.long(), "mean")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        factor, momentum = schedule(o, step)
        for group in adamw.param_groups:
            group["lr"] = factor * group["rate"]
        adamw.step()
        muon.step(factor, momentum)
        model.zero_grad(set_to_none=True)
        losses.append(loss.detach())
        if step == 0 or (step + 1) % 50 == 0 or step + 1 == o.steps:
            print(f"step {step + 1}/{o.steps}  loss {loss.item():.4f}", file=sys.stderr)  # item waits for the device
            first = first or time.monotonic() - start
    return torch.stack(losses).tolist(), time.monotonic() - start, first


@torch.no_grad()
def bits_per_byte(forward, drawn, lengths):
    """Σ nats / (ln 2 · Σ bytes) over the targets that stand for bytes."""
    nats = total = 0
    for tokens, targets in drawn:
        of = lengths[targets.clamp(min=0)] * (targets >= 0)
        nats += (forward(tokens, targets, "none").view_as(targets).double() * (of > 0)).sum().item()
        total += of.sum().item()
    return nats / (math.log(2) * total)


def same_batches(o, position):
    """Whether the run's checkpoint after as many steps stands where we do; None if there is none with this seed."""
    for file in glob.glob(os.path.join(glob.escape(o.run), "step-*", "state.json")) if o.run else []:
        state = data.read_json(file)
        if state["step"] == o.steps and state["data"]["seed"] == o.seed:
            return {key: state["data"].get(key) for key in position} == position
    return None


def run_settings(folder):
    """What a run says of the flags."""
    config = data.read_json(folder, "run.json")["config"]
    if config["train"]["accumulate"] != 1:
        sys.exit(f"train_torch: run {folder}: accumulate {config['train']['accumulate']}; only 1 is compared")
    found = {key: config["model"][key] for key in ("pattern", "width", "context")}
    found |= {key: config["train"][key] for key in ("steps", "batch", "seed", "eval_batches")}
    found["tokenizer"] = os.path.join(folder, "tokenizer.json")
    for file in glob.glob(os.path.join(glob.escape(folder), "step-*", "state.json")):
        found["content"] = data.read_json(file)["data"]["content"]
    return found


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", default="", help="folder of a run with a checkpoint; flags override its settings")
    parser.add_argument("--tokens", help="folder of tokens in the workbench's cache; with --run it is found there")
    parser.add_argument("--tokenizer", help="tokenizer.json; with --run it is the run's")
    whole = {"seed": 0, "steps": 1000, "batch": 8, "context": 1024, "width": 768, "eval_batches": 16}
    for name, value in whole.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.add_argument("--pattern", default="T12", help="T blocks only")
    parser.add_argument("--wide-embedding", action="store_true", help="stored in float32 on CUDA too")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    rates = {"matrix_lr": 0.02, "embedding_lr": 0.2, "head_lr": 0.004, "warmup": 0.0, "warmdown": 0.2, "final_lr": 0.0}
    for name, value in rates.items():
        parser.add_argument("--" + name.replace("_", "-"), type=float, default=value, help=f"nanochat: {value:g}")
    run = parser.parse_known_args()[0].run
    found = run_settings(run) if run else {}
    shards = found.pop("content", None)
    parser.set_defaults(**found)
    o = parser.parse_args()
    if not o.tokens and shards:
        o.tokens = data.find_shards(shards)
    if not o.tokens or not o.tokenizer:
        parser.error("give --run FOLDER with a checkpoint, or --tokens FOLDER and --tokenizer FILE")
    o.pattern = letters(o.pattern)
    if set(o.pattern) != {"T"}:
        parser.error(f"pattern {o.pattern!r}: nanochat's model has T blocks alone; write for example T12")
    return o


def main():
    o = options()
    split = data.Split(o.tokens, "train")
    source = data.Batches(split, o.batch, o.context, o.seed)
    cuda = torch.cuda.is_available()
    device, compute = torch.device("cuda" if cuda else "cpu"), torch.bfloat16 if cuda else torch.float32
    drawn = torch.from_numpy(np.stack([source.next() for _ in range(o.steps)]).astype(np.int32)).to(device)
    held = [[torch.from_numpy(side).to(device) for side in pair]
            for pair in data.validation(o.tokens, o.batch, o.context, o.eval_batches)]
    lengths = torch.from_numpy(data.byte_lengths(o.tokenizer, split.vocab)).to(device)
    same = same_batches(o, source.position())
    if same is False:
        sys.exit(f"train_torch: run {o.run} is elsewhere in its tokens at step {o.steps}; batches.py packs otherwise")

    torch.manual_seed(o.seed)
    torch.set_float32_matmul_precision("high")
    model = Autumn(len(o.pattern), o.width, split.vocab, o.context, compute, not o.wide_embedding).to(device)
    forward = torch.compile(model, dynamic=False) if cuda and not o.eager else model
    losses, seconds, first = train(model, forward, drawn, o)
    tenth = max(1, o.steps // 10)
    tenths = [losses[i:i + tenth] for i in range(0, o.steps, tenth)]
    print(json.dumps({
        "peer": "nanochat, autumn 2025", "bpb": bits_per_byte(forward, held, lengths), "seed": o.seed, "steps": o.steps,
        "tokens": drawn[:, 0].numel(), "seconds": seconds, "first_step_seconds": first,
        "loss_by_tenth": [sum(part) / len(part) for part in tenths], "same_batches": same,
        "parameters": sum(p.numel() for p in model.parameters()), "vocab": split.vocab, "settings": vars(o),
        "lr_factor_of_width": lr_factor(o), "adamw": ADAMW, "clip_norm": CLIP, "softcap": 15,
        "muon": {"nesterov": True, "momentum": [0.85, 0.95, "in 300 steps"], "newton_schulz": NEWTON_SCHULZ},
        "compute": str(compute), "compiled": forward is not model,
        "device": torch.cuda.get_device_name() if cuda else platform.machine(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__}}))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as wrong:
        sys.exit(f"train_torch: {wrong}")
