"""Do Hugging Face tokenizers and tiktoken give the same ids for a tokenizer.json?

    pip install tokenizers tiktoken
    go run ./workbench tokenizer encode ... > ids.json      (optional: our ids, a JSON list)
    python tests/parity/tokenizer_check.py tokenizer.json text.txt [ids.json]

Exit status: 0 they agree, 1 they differ, 2 usage.

The text is ordinary text: a "<|bos|>" in it must give the ids of its
characters. Hugging Face always parses added tokens out of text, so they are
removed from a copy of the file; tiktoken has encode_ordinary.
"""
import json
import sys

import tiktoken
from tokenizers import Tokenizer


def byte_alphabet():
    """GPT-2's characters for bytes, as character -> byte."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(0x100 + i): b for i, b in enumerate(rest)}


def hugging_face_ids(spec, text):
    plain = Tokenizer.from_str(json.dumps({**spec, "added_tokens": []}))
    return plain.encode(text, add_special_tokens=False).ids


def tiktoken_ids(spec, text):
    # tiktoken merges the pair whose joined bytes have the lowest rank. Ids are
    # given in merge order, so they serve as ranks.
    alphabet = byte_alphabet()
    specials = {t["content"]: t["id"] for t in spec["added_tokens"]}
    ranks = {bytes(alphabet[c] for c in token): i for token, i in spec["model"]["vocab"].items() if token not in specials}
    pattern = spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    encoding = tiktoken.Encoding("check", pat_str=pattern, mergeable_ranks=ranks, special_tokens=specials)
    return encoding.encode_ordinary(text)


def agree(spec, name, ids, other_name, other):
    at = next((i for i, (a, b) in enumerate(zip(ids, other)) if a != b), min(len(ids), len(other)))
    if at == len(ids) == len(other):
        print(f"same: {name} and {other_name} give the same {len(ids)} ids")
        return True
    spelled = {i: token for token, i in spec["model"]["vocab"].items()}
    print(f"DIFFERENT: {name} ({len(ids)} ids) and {other_name} ({len(other)} ids) first differ at index {at}")
    for label, found in ((name, ids), (other_name, other)):
        print(f"  {label}: {[(i, spelled.get(i)) for i in found[max(0, at - 3):at + 5]]}")
    return False


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(print(__doc__, file=sys.stderr) or 2)
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = json.load(file)
    with open(sys.argv[2], encoding="utf-8", newline="") as file:  # newline="" keeps CRLF
        text = file.read()
    hf = hugging_face_ids(spec, text)
    same = [agree(spec, "tokenizers", hf, "tiktoken", tiktoken_ids(spec, text))]
    if len(sys.argv) == 4:
        with open(sys.argv[3], encoding="utf-8") as file:
            same.append(agree(spec, "tokenizers", hf, "ours", json.load(file)))
    full = Tokenizer.from_str(json.dumps(spec))
    for token in spec["added_tokens"]:
        if full.token_to_id(token["content"]) != token["id"]:
            print(f"DIFFERENT: tokenizers gives {token['content']} id {full.token_to_id(token['content'])}, the file {token['id']}")
            same.append(False)
    sys.exit(0 if all(same) else 1)


if __name__ == "__main__":
    main()
