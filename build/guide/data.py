"""Turns conversations into padded batches of ids, targets and loss weights."""

import random

import torch

FIRST = 6          # the first tokens of an answer decide which answer it is,
FIRST_WEIGHT = 2.0  # so they count more
OTHER_WEIGHT = 0.2  # tokens that the guide does not write itself


def encode(tok, turns, rng):
    """ids and the weight of predicting each. Long answers are often cut: their tails are soon known by heart."""
    ids, weights = [], []
    for n, (role, text) in enumerate(turns):
        message = tok.message(role, text)
        if role != "assistant":
            ids += message
            share = rng.random() < 0.3
            weights += [OTHER_WEIGHT if share else 0.0] * len(message)
            continue
        head = len(tok.opening())
        body = len(message) - head - 1  # with <|im_end|>, without the newline after it
        w = [0.0] * head + [FIRST_WEIGHT] * min(FIRST, body) + [1.0] * max(0, body - FIRST) + [0.0]
        last = n == len(turns) - 1
        if body > 24 and last and rng.random() < 0.6:
            message, w = message[:head + 16], w[:head + 16]
        elif body > 24 and not last and rng.random() < 0.5:  # context only needs its beginning; that it ends is not learned
            message, w = message[:head + 10] + message[-2:], w[:head + 10] + [0.0, 0.0]
        ids += message
        weights += w
    return ids, weights


def batches(tok, corpus, seed, tokens=4096, pool=768, longest=1400):
    """Endless batches of about `tokens` tokens, each of conversations of similar length."""
    rng = random.Random(seed)
    while True:
        docs = []
        while len(docs) < pool:
            ids, weights = encode(tok, corpus.sample(rng), rng)
            docs.append((ids[:longest], weights[:longest]))
        docs.sort(key=lambda d: -len(d[0]))
        groups = []
        while docs:
            rows = max(1, tokens // padded(len(docs[0][0]) - 1))
            groups.append((docs[:rows], rows))
            docs = docs[rows:]
        rng.shuffle(groups)
        for group, rows in groups:
            yield collate(group, rows)


def padded(length, step=16):
    return -(-length // step) * step


def collate(group, rows):
    """Few distinct shapes, because oneDNN prepares its kernels for each shape anew."""
    length = padded(max(len(ids) for ids, _ in group) - 1)
    x = torch.zeros(rows, length, dtype=torch.long)
    y = torch.zeros(rows, length, dtype=torch.long)
    w = torch.zeros(rows, length)
    for i, (ids, weights) in enumerate(group):
        n = len(ids) - 1
        x[i, :n], y[i, :n], w[i, :n] = torch.tensor(ids[:-1]), torch.tensor(ids[1:]), torch.tensor(weights[1:])
    return x, y, w
