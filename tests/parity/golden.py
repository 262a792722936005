"""Goldens for tests/parity_test.go: what plain PyTorch computes for Tandem's models.

    python tests/parity/golden.py [FOLDER]        (default: golden/ beside this file; CPU, five minutes)

One JSON file per model: logits, loss, the gradient of every weight, and the losses
of a training, in float64. Beside each stands the error that PyTorch itself makes
in float32, and with bfloat16 activations, so that a test can ask for "no more
than k times the error of the accepted implementation".

Along a training roundings grow as chance has it: AdamW's first step for a number is
its gradient's sign. So the error of its losses is the largest of DRAWS trainings, in
all but the first of which the last bit of the weights is disturbed.

Weights and tokens come from a hash that Python and Go compute alike:

    bits(name, i) = top 24 bits of splitmix64's finalizer of (FNV-1a-64("SEED/name") + (i+1)*0x9E3779B97F4A7C15)
    unit(name, i) = bits/2^23 - 1, in [-1, 1), exact in float32
    weight[i]     = float32(offset + scale*unit(name, i)), product and sum in float64

Of a large tensor a file holds its 2-norm, its dot product with unit("probe/NAME", i),
its largest magnitude, and its elements number bits("sample/NAME", j) mod size, j = 0…7.
"""
import hashlib
import json
import math
import multiprocessing
import os
import sys

import numpy as np
import torch

import reference

MAGIC, VERSION, SEED, DRAWS = "tandem parity", 2, 20, 5
COMMAND = "python tests/parity/golden.py"
VOCAB, IDS, CONTEXT, BATCH = 256, 64, 48, 2
SIZES = {"width": 64, "vocab": VOCAB, "context": CONTEXT}

# Models and options are in the words of Tandem's own configuration.
MODELS = {
    "t4": {"pattern": "TTTT", **SIZES, "blocks": {"transformer": {"head_dim": 16}}},
    "m4": {"pattern": "MMMM", **SIZES, "blocks": {}},
    "t2m2": {"pattern": "TTMM", **SIZES, "blocks": {"transformer": {"head_dim": 16, "kv_heads": 2}, "mamba": {"mlp": True}}},
    "tm2": {"pattern": "TMTM", **SIZES, "blocks": {"transformer": {"head_dim": 32, "mask_documents": True}, "mamba": {"state": 8, "conv": 3}}},
}
OPTIONS = {"steps": 50, "batch": BATCH, "matrix_lr": 0.01, "embedding_lr": 0.02, "head_lr": 0.004, "scalar_lr": 0.002, "weight_decay": 0.2, "warmup": 5}


# The hash.

def bits(name, count):
    start = 0xCBF29CE484222325
    for byte in f"{SEED}/{name}".encode():
        start = (start ^ byte) * 0x100000001B3 % 2**64
    z = np.full(count, start, np.uint64) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.int64)


def unit(name, count):
    return bits(name, count) / 2.0**23 - 1


def fill(name, shape, offset, scale):
    return (offset + scale * unit(name, math.prod(shape))).astype(np.float32).reshape(shape)


def batch_of(step):
    """Tokens, targets, documents [B,T]: counting in sevens with noise, two documents a row, one target in sixteen ignored.

    Few ids, so that the embedding of each is met early: AdamW's first step for a number is its gradient's sign, which
    roundings may turn once they have grown.
    """
    def drawn(what, *shape):
        return bits(f"batch/{step}/{what}", math.prod(shape)).reshape(shape)
    time = np.arange(CONTEXT + 1)
    documents = (time >= 8 + drawn("boundary", BATCH, 1) % (CONTEXT - 16)).astype(np.int64)
    start = np.take_along_axis(drawn("start", BATCH, 2), documents, 1)
    row = (start + 7 * time + drawn("noise", BATCH, CONTEXT + 1) % 4) % IDS
    targets = np.where(drawn("ignore", BATCH, CONTEXT) % 16 == 0, -1, row[:, 1:])
    return torch.tensor(row[:, :-1]), torch.tensor(targets), torch.tensor(documents[:, :-1])


# What a file records.

def fresh(model, precision):
    high = reference.PRECISIONS[precision][1]
    return {name: torch.tensor(fill(name, shape, offset, scale)).to(high).requires_grad_()
            for name, shape, offset, scale, _ in reference.declare(model)}


def gradients(model, precision):
    weights = fresh(model, precision)
    logits, loss = reference.Model(model, weights, precision).loss(*batch_of(0))
    loss.backward()
    return {"logits": logits, **{name: weight.grad for name, weight in weights.items()}}, loss.item()


def disturb(weights, draw):
    """Moves each weight by at most a unit in the last place of float32."""
    with torch.no_grad():
        for name, p in weights.items():
            shift = unit(f"draw/{draw}/{name}", p.numel()).reshape(p.shape) * 2.0**-23
            p.copy_(torch.tensor((p.double().numpy() * (1 + shift)).astype(np.float32)))


def training(model, precision, draw=0):
    groups = {name: group for name, *_, group in reference.declare(model)}
    rates = reference.learning_rates(OPTIONS, model["width"])
    weights, states, losses = fresh(model, precision), {name: {} for name in groups}, []
    if draw > 0:
        disturb(weights, draw)
    for step in range(OPTIONS["steps"]):
        _, loss = reference.Model(model, weights, precision).loss(*batch_of(step))
        loss.backward()
        losses.append(loss.item())
        factor, momentum, decay = reference.schedule(OPTIONS, step)
        with torch.no_grad():
            for name, p in weights.items():
                lr, state = factor * rates[groups[name]], states[name]
                if groups[name] == "matrix":
                    p.copy_(reference.muon(p, p.grad, state, lr, momentum, decay, reference.PRECISIONS[precision][0]))
                else:
                    p.copy_(reference.adamw(p, p.grad, state, lr, step + 1))
                p.grad = None
    return np.array(losses)


def curve(model):
    """The losses of a training in float64, and for each step how far the other precisions are from it, of all draws."""
    exact = training(model, "float64")
    errors = {precision: np.max([abs(training(model, precision, draw) - exact) for draw in range(DRAWS)], axis=0).tolist()
              for precision in ("float32", "bfloat16")}
    return {"losses": exact.tolist(), "errors": errors}


def flat(tensor):
    return tensor.detach().to(torch.float64).numpy().ravel()


def summary(name, exact, others):
    """The float64 tensor in a few numbers, and how far the other precisions are from it: largest error, 2-norm of the error."""
    exact = flat(exact)
    at = bits(f"sample/{name}", 8) % exact.size
    errors = {precision: flat(other) - exact for precision, other in others.items()}
    return {"of": name, "norm": np.linalg.norm(exact), "dot": exact @ unit(f"probe/{name}", exact.size), "largest": abs(exact).max(),
            "samples": exact[at].tolist(),
            "errors": {precision: {"largest": abs(e).max(), "norm": np.linalg.norm(e)} for precision, e in errors.items()}}


def source_digest():
    """Of this file and reference.py: goldens of another source are stale."""
    digest = hashlib.sha256()
    for file in (__file__, reference.__file__):
        with open(file, "rb") as source:
            digest.update(source.read())
    return digest.hexdigest()


def golden(model):
    torch.set_num_threads(1)
    found = {precision: gradients(model, precision) for precision in reference.PRECISIONS}

    def summarize(name):
        return summary(name, found["float64"][0][name], {p: found[p][0][name] for p in ("float32", "bfloat16")})
    tokens, targets, _ = batch_of(0)
    return {
        "magic": MAGIC, "version": VERSION, "source_sha256": source_digest(), "command": COMMAND, "seed": SEED, "torch": torch.__version__,
        "model": model, "options": OPTIONS, "ids": IDS,
        "tokens": tokens[0, :8].tolist(), "targets": targets[0, :8].tolist(), "embedding": fill("embedding", (8,), 0.0, 1.0).tolist(),
        "loss": {precision: loss for precision, (_, loss) in found.items()},
        "training": curve(model),
        "logits": summarize("logits"),
        "weights": [{"name": name, "shape": shape, "offset": offset, "scale": scale, "gradient": summarize(name)}
                    for name, shape, offset, scale, _ in reference.declare(model)],
    }


def write(path, record):
    lines = []
    for key, value in record.items():
        text = json.dumps(value)
        if key == "weights":
            text = "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]"
        lines.append(f' "{key}": {text}')
    with open(path, "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
    os.makedirs(folder, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(len(MODELS)) as pool:
        records = dict(zip(MODELS, pool.map(golden, MODELS.values(), chunksize=1)))
    for name, record in records.items():
        write(os.path.join(folder, name + ".json"), record)
        losses, errors = record["training"].values()
        off = {precision: max(of) for precision, of in errors.items()}
        print(f"{name}: loss {record['loss']['float64']:.6f}, at the last of {OPTIONS['steps']} steps {losses[-1]:.6f}; "
              f"off by at most {off['float32']:.1e} in float32, {off['bfloat16']:.1e} in bfloat16")


if __name__ == "__main__":
    main()
