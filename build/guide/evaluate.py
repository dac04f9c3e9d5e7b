"""Scores the guide in PyTorch: paraphrases that are not in the grammar, and recall.

    python3 evaluate.py CHECKPOINT [--temperature 0.7] [--show]
"""

import argparse
import json
import os
import random

import torch

HERE = os.path.dirname(os.path.abspath(__file__))


def prompt(tok, turns):
    ids = []
    for role, text in turns:
        ids += tok.message(role, text)
    return ids + tok.opening()


def answer(model, tok, turns, temperature=0.0, limit=160):
    return tok.decode(model.generate(prompt(tok, turns), tok.im_end, limit, temperature))


def fits(text, must):
    """The written rule: every entry of `must` is in the answer; 'a|b' means either; case ignored."""
    low = text.lower()
    return all(any(option.lower() in low for option in m.split("|")) for m in must)


def load_dev(name="dev.txt"):
    """Lines of 'intent: question'."""
    pairs = []
    path = os.path.join(HERE, name)
    if os.path.exists(path):
        for line in open(path, encoding="utf-8"):
            if ":" in line and not line.startswith("#"):
                intent, question = line.split(":", 1)
                pairs.append((intent.strip(), question.strip()))
    return pairs


def recall_dialogues(corpus, count, seed=99):
    """A fact, two other turns, the question; from the generator with a seed that training does not use."""
    rng, out = random.Random(seed), []
    while len(out) < count:
        known = {}
        turns = corpus.recall.tell(rng, known, others=False)
        for _ in range(2):
            turns += corpus.turn(rng)
        kind = list(known)[0]
        ask = corpus.recall.ask(rng, known, kind)
        out.append((turns + ask[:1], known[kind], ask[1][1]))
    return out


def facts_by_id():
    with open(os.path.join(HERE, "facts.json"), encoding="utf-8") as f:
        return {i["id"]: i for i in json.load(f)["intents"]}


def intent_of(corpus, opening):
    """The intent whose answer begins like this, or the opening itself."""
    return next((i for i, a in corpus.answers.items() if a.startswith(opening[:40])), opening)


def quick(model, tok, corpus, temperature=0.0, recall=60, show=False, questions="dev.txt"):
    """Shares right: dev questions, questions from the grammar with an unused seed, recall.

    A dev answer is judged by its beginning, which decides the rest.
    """
    model.eval()
    dev, missed = load_dev(questions), []
    rng = random.Random(4242)
    grammar = [corpus.question(rng)[::-1] for _ in range(60)]
    for n, (intent, question) in enumerate(dev + grammar):
        text = answer(model, tok, [("user", question)], temperature, 14)
        if not corpus.answers[intent].startswith(text[:40]):
            missed.append((n < len(dev), intent, question, intent_of(corpus, text)))
    lost = []
    for turns, value, wanted in recall_dialogues(corpus, recall):
        text = answer(model, tok, turns, temperature, 40)
        if value.lower() not in text.lower():
            lost.append((turns[0][1], turns[-1][1], wanted, text))
    model.train()
    if show:
        for m in missed + lost:
            print(*m, sep=" | ")
    wrong = sum(m[0] for m in missed)
    return {"dev": round(1 - wrong / max(1, len(dev)), 3), "grammar": round(1 - (len(missed) - wrong) / 60, 3),
            "recall": round(1 - len(lost) / max(1, recall), 3)}


def load(path):
    from model import Config, Guide
    state = torch.load(path)
    model = Guide(Config(**state["config"]))
    model.load_state_dict(state["ema"])
    return model, state


def main():
    from corpus import Corpus
    from tokenizer import Tokenizer
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint")
    p.add_argument("--temperature", type=float, default=0.0)
    p.add_argument("--recall", type=int, default=100)
    p.add_argument("--show", action="store_true")
    args = p.parse_args()
    torch.manual_seed(0)
    model, state = load(args.checkpoint)
    print("step", state["step"], "tokens", state["seen"])
    print(quick(model, Tokenizer.load(), Corpus(), args.temperature, args.recall, args.show))


if __name__ == "__main__":
    main()
