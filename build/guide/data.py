"""Turns conversations into padded batches of ids, targets and loss weights."""

import random

import torch

FIRST = 6          # the first tokens of an answer decide which answer it is,
FIRST_WEIGHT = 2.0  # so they count more
OTHER_WEIGHT = 0.2  # tokens that the guide does not write itself


def encode(tok, turns, rng):
    """ids and the weight of predicting each. A long last answer is often cut: its tail is known by heart."""
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
        if n == len(turns) - 1 and body > 24 and rng.random() < 0.6:
            message, w = message[:head + 16], w[:head + 16]
        ids += message
        weights += w
    return ids, weights


def batches(tok, corpus, seed, tokens=4096, pool=768, longest=1600):
    """Endless batches of about `tokens` tokens, each of conversations of similar length."""
    rng = random.Random(seed)
    while True:
        docs = []
        while len(docs) < pool:
            ids, weights = encode(tok, corpus.sample(rng), rng)
            docs.append((ids[:longest], weights[:longest]))
        docs.sort(key=lambda d: len(d[0]))
        groups, group = [], []
        for doc in docs:
            if group and (len(group) + 1) * len(doc[0]) > tokens:
                groups.append(group)
                group = []
            group.append(doc)
        groups.append(group)
        rng.shuffle(groups)
        for group in groups:
            yield collate(group)


def collate(group):
    length = max(len(ids) for ids, _ in group) - 1
    x = torch.zeros(len(group), length, dtype=torch.long)
    y = torch.zeros(len(group), length, dtype=torch.long)
    w = torch.zeros(len(group), length)
    for i, (ids, weights) in enumerate(group):
        n = len(ids) - 1
        x[i, :n], y[i, :n], w[i, :n] = torch.tensor(ids[:-1]), torch.tensor(ids[1:]), torch.tensor(weights[1:])
    return x, y, w
