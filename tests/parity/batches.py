"""The batches that `workbench train` reads, made again in Python from its cache of tokens.

A second implementation of the order, packing and position of workbench/data (shuffle.go, order.go, waiting.go and
pack.go, which tell the rules; manifest.go tells the format), for one corpus: no mixtures. That it gives the same
batches can be seen after any training: position() is what the checkpoint's state.json holds as "data".
"""
import collections
import glob
import hashlib
import json
import os

import numpy as np

BUFFER = 1000  # pieces that wait to be placed
MASK = 2**64 - 1


def read_json(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return json.load(file)


def content(manifest):
    """Identifies the tokens of a shard folder wherever it lies."""
    text = json.dumps([manifest[key] for key in ("encoder", "vocabulary", "bos", "splits")], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def find_shards(wanted):
    """The folder in the workbench's cache that holds the tokens with this content."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(os.environ.get("TANDEM_CACHE") or os.path.join(home, "tandem"), "shards")
    for manifest in sorted(glob.glob(os.path.join(glob.escape(folder), "*", "manifest.json"))):
        if content(read_json(manifest)) == wanted:
            return os.path.dirname(manifest)
    raise FileNotFoundError(f"{folder} does not hold the run's tokens; set TANDEM_CACHE to its cache, or give --tokens")


def byte_lengths(tokenizer, vocab):
    """Bytes of text of each token, 0 for a special one; tokenizer.json writes a byte as one character."""
    spec, lengths = read_json(tokenizer), np.zeros(vocab, np.int64)
    for token, number in spec["model"]["vocab"].items():
        lengths[number] = len(token)
    for special in spec["added_tokens"]:
        lengths[special["id"]] = 0
    return lengths


class Split:
    """The tokens of one split; document i is tokens[ends[i-1]:ends[i]], BOS first."""

    def __init__(self, folder, name):
        manifest = read_json(folder, "manifest.json")
        split, dtype = manifest["splits"][name], "<u2" if manifest["vocabulary"] <= 1 << 16 else "<u4"
        self.bos, self.vocab, self.content = manifest["bos"], manifest["vocabulary"], content(manifest)
        self.ends = np.fromfile(os.path.join(folder, split["index"]["name"]), "<i8")
        files = [os.path.join(folder, shard["name"]) for shard in split["shards"]]
        self.tokens = np.concatenate([np.fromfile(file, dtype) for file in files])
        if len(self.ends) != split["documents"] or len(self.tokens) != split["tokens"]:
            raise ValueError(f"{folder}: {name} is not as its manifest says; let workbench train make the cache anew")

    def start(self, document):
        return int(self.ends[document - 1]) if document else 0

    def length(self, document):
        return int(self.ends[document]) - self.start(document)


def mix(x):
    """The finaliser of SplitMix64."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def shuffled(count, seed, epoch):
    """A function from place to document, a permutation of 0…count-1: a Feistel network with cycle walking."""
    half, keys, key = (count.bit_length() + 1) // 2, [], (mix(seed) + epoch) & MASK
    for _ in range(6):
        key = mix((key + 0x9E3779B97F4A7C15) & MASK)
        keys.append(key)

    def at(x):
        while True:
            left, right = x >> half, x & (1 << half) - 1
            for key in keys:
                left, right = right, left ^ mix((right + key) & MASK) & (1 << half) - 1
            x = left << half | right
            if x < count:
                return x
    return at


class Waiting:
    """Pieces (document, first token not yet placed) by arrival and by size; longer than a row is one class."""

    def __init__(self, capacity):
        self.capacity, self.sizes = capacity, collections.OrderedDict()
        self.by_class = [collections.deque() for _ in range(capacity + 2)]
        self.filled = 0  # a bit for each class with pieces
        self.tokens = self.long = 0

    def class_of(self, size):
        return min(size, self.capacity + 1)

    def weigh(self, size):
        self.tokens += size
        self.long += size if abs(size) > self.capacity else 0

    def add(self, piece, size):
        self.sizes[piece] = size
        self.by_class[self.class_of(size)].append(piece)
        self.filled |= 1 << self.class_of(size)
        self.weigh(size)

    def take(self, of):
        piece = self.by_class[of].popleft()
        if not self.by_class[of]:
            self.filled &= ~(1 << of)
        size = self.sizes.pop(piece)
        self.weigh(-size)
        return piece, size

    def oldest(self):
        return self.take(self.class_of(self.sizes[next(iter(self.sizes))]))

    def longest(self, room):
        """The longest of at most room, or None."""
        of = (self.filled & (2 << room) - 1).bit_length() - 1
        return self.take(of) if of >= 0 else None


class Batches:
    """Batches of one split: with loop for ever, shuffled anew each epoch, else once and in the order of the corpus."""

    def __init__(self, split, batch, time, seed=0, loop=True):
        self.split, self.batch, self.time, self.seed, self.loop = split, batch, time, seed, loop
        self.waiting, self.rows = Waiting(time + 1), 0
        self.begin(0)

    def begin(self, epoch):
        self.epoch, self.cursor = epoch, 0
        self.order = shuffled(len(self.split.ends), self.seed, epoch) if self.loop else int

    def fill(self):
        """Whether anything waits, once as many pieces do as should."""
        documents = len(self.split.ends)
        if not self.waiting.sizes and self.loop and self.cursor == documents:
            self.begin(self.epoch + 1)
        while len(self.waiting.sizes) < BUFFER and self.cursor < documents:
            document = self.order(self.cursor)
            self.waiting.add((document, 1), self.split.length(document))
            self.cursor += 1
        return bool(self.waiting.sizes)

    def next_piece(self, rest, opens):
        if not opens:
            return self.waiting.longest(min(rest, self.time + 1)) or self.waiting.longest(self.time + 2)
        spread = (self.rows + 1) * 2654435769 % 2**32 / 2**32
        if spread * self.waiting.tokens < self.waiting.long:
            return self.waiting.longest(self.time + 2)
        return self.waiting.oldest()

    def row(self):
        """time+1 tokens, and how many of them are no padding."""
        row, filled = np.full(self.time + 1, self.split.bos, np.int64), 0
        while filled < len(row) and self.fill():
            rest = len(row) - filled
            if rest == 1:  # a BOS alone
                filled += 1
                break
            (document, at), size = self.next_piece(rest, filled == 0)
            count, first = min(size, rest), self.split.start(document) + at
            row[filled + 1:filled + count] = self.split.tokens[first:first + count - 1]
            if count < size:
                self.waiting.add((document, at + count - 1), size - count + 1)
            filled += count
        self.rows += 1
        return row, filled

    def next(self):
        """Inputs and targets [batch, time], a target of -1 being none; None at the end."""
        if not self.fill():
            return None
        rows, filled = zip(*(self.row() for _ in range(self.batch)))
        rows = np.stack(rows)
        targets = np.where(np.arange(1, self.time + 1) < np.array(filled)[:, None], rows[:, 1:], -1)
        return rows[:, :-1], targets

    def position(self):
        waiting = [list(piece) for piece in self.waiting.sizes]
        return {"content": self.split.content, "epoch": self.epoch, "cursor": self.cursor, "waiting": waiting}


def validation(folder, batch, time, limit):
    """The batches of every evaluation in a training: the same each time, or the whole split if it is smaller."""
    split = Split(folder, "validation")
    batches = Batches(split, batch, time, loop=len(split.tokens) > limit * batch * time)
    drawn = (batches.next() for _ in range(limit))
    return [pair for pair in drawn if pair]
