"""What a profile of cupti.c says: how busy the GPU was, where it waited, and which kernels took the time.

    python3 look.py FILE.csv [--from 0.7] [--top 30] [--order 0]

--from drops the first share of the records, in which programs are compiled and tuned; --order prints the last records as
they ran.
"""
import argparse
import collections


def records(path):
    """(kind, start, end, size, graph, name) in nanoseconds, by start; lines that were cut short are left out."""
    found = []
    for text in open(path):
        parts = text.rstrip("\n").split(",", 5)
        if len(parts) == 6 and all(part.isdigit() for part in parts[1:5]):
            found.append((parts[0], *map(int, parts[1:5]), parts[5]))
    return sorted(found, key=lambda record: record[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--from", type=float, default=0.7, dest="begin")
    parser.add_argument("--top", type=int, default=30)
    parser.add_argument("--order", type=int, default=0)
    o = parser.parse_args()
    everything = records(o.file)
    device = [r for r in everything if r[0] in "KCS"]
    device = device[int(len(device) * o.begin):]
    if not device:
        raise SystemExit(f"{o.file} has no records of the GPU")

    busy, end, gaps = 0, device[0][1], []
    for _, start, stop, *_ in device:
        gaps.append(max(0, start - end))
        busy += max(0, stop - max(start, end))
        end = max(end, stop)
    span = end - device[0][1]
    gaps.sort()
    print(f"{span / 1e6:.3f} ms, busy {busy / span:.1%}, {len(device)} records, {sum(r[4] > 0 for r in device)} of them in CUDA graphs")
    print(f"gaps, µs: median {gaps[len(gaps) // 2] / 1e3:.2f}, of a hundred the longest {gaps[int(0.99 * len(gaps))] / 1e3:.2f}, "
          f"longest {gaps[-1] / 1e3:.1f}; those over 20 µs take {sum(g for g in gaps if g > 20e3) / span:.1%} of the time")

    taken = collections.defaultdict(list)
    for kind, start, stop, size, _, name in device:
        taken[name[:70], size if kind == "K" else 0].append(stop - start)
    for (name, blocks), times in sorted(taken.items(), key=lambda item: -sum(item[1]))[:o.top]:
        print(f"{sum(times) / 1e6:9.3f} ms  {len(times):6d} × {sorted(times)[len(times) // 2] / 1e3:8.2f} µs  {name}" + (f"  {blocks} blocks" if blocks else ""))
    calls = collections.defaultdict(list)
    for kind, start, stop, _, _, name in everything:
        if kind == "D" and start >= device[0][1]:
            calls[name].append(stop - start)
    for name, times in sorted(calls.items(), key=lambda item: -sum(item[1]))[:10]:
        print(f"{sum(times) / 1e6:9.3f} ms  {len(times):6d} calls of {name}")
    for _, start, stop, size, _, name in device[-o.order:] if o.order else []:
        print(f"{(start - device[0][1]) / 1e3:12.2f} µs  {(stop - start) / 1e3:8.2f} µs  {name[:60]}  {size}")


if __name__ == "__main__":
    main()
