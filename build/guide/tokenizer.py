"""Byte-level BPE as llama.cpp reads it: tokenizer.ggml.model "gpt2", pre "qwen2".

The pre-tokeniser takes each digit by itself, which makes numbers easy to copy.
Run as a program it trains merges on the corpus and writes tokenizer.json.
"""

import json
import os
import random
import re
import sys
import unicodedata
from collections import Counter, defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def _category(letter):
    """A character class with every code point whose general category starts with `letter`."""
    ranges, start = [], None
    for c in range(0x110001):
        inside = c <= 0x10FFFF and unicodedata.category(chr(c))[0] == letter
        if inside and start is None:
            start = c
        elif not inside and start is not None:
            ranges.append((start, c - 1))
            start = None
    return "".join("\\U%08x-\\U%08x" % r for r in ranges)


_L, _N = _category("L"), _category("N")
PRE = re.compile(
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    r"|[^\r\n%(L)s%(N)s]?[%(L)s]+|[%(N)s]| ?[^\s%(L)s%(N)s]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+" % {"L": _L, "N": _N})


def byte_letters():
    """GPT-2's printable stand-in for each byte."""
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table, extra = {}, 0
    for b in range(256):
        if b in plain:
            table[b] = chr(b)
        else:
            table[b] = chr(256 + extra)
            extra += 1
    return table


LETTERS = byte_letters()
BYTES = {c: b for b, c in LETTERS.items()}


def letters(text):
    return "".join(LETTERS[b] for b in text.encode("utf-8"))


class Tokenizer:
    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self.tokens = [LETTERS[b] for b in range(256)] + [a + b for a, b in self.merges] + SPECIALS
        self.ids = {t: i for i, t in enumerate(self.tokens)}
        self.end_of_text, self.im_start, self.im_end = (self.ids[s] for s in SPECIALS)
        self.cache = {}

    @classmethod
    def load(cls, path=os.path.join(HERE, "tokenizer.json")):
        with open(path, encoding="utf-8") as f:
            return cls([m.split(" ") for m in json.load(f)["merges"]])

    def _word(self, word):
        parts = list(word)
        while len(parts) > 1:
            rank, i = min((self.rank.get(p, 1 << 30), i) for i, p in enumerate(zip(parts, parts[1:])))
            if rank == 1 << 30:
                break
            parts[i:i + 2] = [parts[i] + parts[i + 1]]
        return [self.ids[p] for p in parts]

    def encode(self, text):
        """Ids of plain text; special tokens in it are plain text too."""
        out = []
        for piece in PRE.findall(text):
            ids = self.cache.get(piece)
            if ids is None:
                ids = self._word(letters(piece))
                if len(self.cache) < 200000:
                    self.cache[piece] = ids
            out += ids
        return out

    def decode(self, ids):
        raw = bytearray()
        for i in ids:
            token = self.tokens[i]
            raw += token.encode() if token in SPECIALS else bytes(BYTES[c] for c in token)
        return raw.decode("utf-8", "replace")

    def message(self, role, text):
        """One ChatML message, as the chat template writes it."""
        return [self.im_start] + self.encode(role + "\n" + text) + [self.im_end] + self.encode("\n")

    def opening(self):
        """What the template adds to ask for an answer."""
        return [self.im_start] + self.encode("assistant\n")


def train(texts, count):
    """Returns `count` merges, most frequent pair first; ties in order of the text."""
    words = Counter()
    for text in texts:
        for piece in PRE.findall(text):
            words[letters(piece)] += 1
    parts = [list(w) for w in words]
    freq = list(words.values())
    pairs, where = Counter(), defaultdict(set)
    for i, p in enumerate(parts):
        for pair in zip(p, p[1:]):
            pairs[pair] += freq[i]
            where[pair].add(i)
    merges = []
    while len(merges) < count:
        best = max(pairs, key=lambda p: (pairs[p], p))
        if pairs[best] < 2:
            break
        merges.append(best)
        for i in list(where[best]):
            old = parts[i]
            for pair in zip(old, old[1:]):
                pairs[pair] -= freq[i]
            new, j = [], 0
            while j < len(old):
                if j + 1 < len(old) and (old[j], old[j + 1]) == best:
                    new.append(old[j] + old[j + 1])
                    j += 2
                else:
                    new.append(old[j])
                    j += 1
            parts[i] = new
            for pair in zip(new, new[1:]):
                pairs[pair] += freq[i]
                where[pair].add(i)
        del pairs[best]
    return merges


def main():
    from corpus import Corpus
    corpus, rng, texts = Corpus(), random.Random(7), []
    for _ in range(6):  # every grammar line several times, every answer a few times
        for intent, lines in corpus.grammar.lines.items():
            texts += [corpus.grammar.expand(line, rng) for line in lines]
        texts += corpus.answers.values()
    for _ in range(4000):
        texts += [text for _, text in corpus.sample(rng)]
    merges = train(texts, 2048 - 256 - len(SPECIALS))
    with open(os.path.join(HERE, "tokenizer.json"), "w", encoding="utf-8") as f:
        json.dump({"pre": "qwen2", "specials": SPECIALS, "merges": [" ".join(m) for m in merges]}, f, ensure_ascii=False, indent=0)
    tok = Tokenizer(merges)
    ids = sum(len(tok.encode(t)) for t in texts)
    print(len(tok.tokens), "tokens;", sum(map(len, texts)) / ids, "characters per token", file=sys.stderr)


if __name__ == "__main__":
    main()
