"""Trains the guide. Resumes from its last checkpoint.

    python3 train.py OUT --steps 9000 --decay 3000

The learning rate warms up, stays, and falls to zero over the last `decay`
steps, so that a run can be ended from any checkpoint. Weights for use are an
average over the last steps (`ema`). Each of the `workers` processes computes
on one thread and on its own conversations; they average their gradients once a
step, which loses less than threads do where other programs share the cores.
"""

import argparse
import json
import os
import time

import torch
from torch import distributed
from torch import multiprocessing
from torch.nn import functional as F

import data
import evaluate
from corpus import Corpus
from model import Config, Guide
from muon import Muon
from tokenizer import Tokenizer


def rate(step, args):
    if step < args.warmup:
        return args.lr * (step + 1) / args.warmup
    left = args.steps - step
    return args.lr * min(1.0, left / args.decay)


def save(path, **state):
    torch.save(state, path + ".tmp")
    os.replace(path + ".tmp", path)


def make_optimizers(model, lr):
    """Muon for the matrices of the blocks, AdamW for the embedding and the norms."""
    cfg, blocks = model.cfg, model.blocks
    kv = cfg.kv_heads * cfg.head
    matrices = [{"params": [b.qkv.weight for b in blocks], "parts": [cfg.width, kv, kv]},
                {"params": [b.out.weight for b in blocks]},
                {"params": [b.gate_up.weight for b in blocks], "parts": [cfg.ff, cfg.ff]},
                {"params": [b.down.weight for b in blocks]}]
    norms = [p for p in model.parameters() if p.dim() < 2]
    rest = [{"params": [model.embed.weight], "weight_decay": 0.05}, {"params": norms, "weight_decay": 0.0}]
    return [Muon(matrices, lr), torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98))]


def average_gradients(model, workers):
    if workers > 1:
        flat = torch.cat([p.grad.flatten() for p in model.parameters()])
        distributed.all_reduce(flat)
        flat /= workers
        for p, g in zip(model.parameters(), flat.split([p.numel() for p in model.parameters()])):
            p.grad.copy_(g.view_as(p))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("--steps", type=int, default=9000)
    p.add_argument("--decay", type=int, default=3000)
    p.add_argument("--warmup", type=int, default=200)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--tokens", type=int, default=2048, help="for each worker and step")
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    meeting = os.path.join(args.out, "meeting")
    if os.path.exists(meeting):
        os.remove(meeting)
    if args.workers > 1:
        multiprocessing.spawn(train, (args, "file://" + os.path.abspath(meeting)), args.workers)
    else:
        train(0, args, None)


def train(rank, args, meeting):
    if meeting:
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=args.workers)
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    tok, corpus, cfg = Tokenizer.load(), Corpus(), Config()
    model, average = Guide(cfg), Guide(cfg)
    average.load_state_dict(model.state_dict())
    optimizers = make_optimizers(model, args.lr)
    step, seen, spent = 0, 0, 0.0
    checkpoint = os.path.join(args.out, "last.pt")
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["ema"])
        if "optimizers" in state:
            for optimizer, old in zip(optimizers, state["optimizers"]):
                optimizer.load_state_dict(old)
        step, seen, spent = state["step"], state["seen"], state["spent"]
    if rank == 0:
        print("from step", step, "with", model.parameters_count(), "parameters", flush=True)
    # A resumed run draws new conversations instead of repeating the first ones.
    source = data.batches(tok, corpus, (args.seed * 1000003 + step) * args.workers + rank, args.tokens)
    total, weight, since, mark = 0.0, 0.0, time.time(), seen
    while step < args.steps:
        x, y, w = next(source)
        for group in (g for o in optimizers for g in o.param_groups):
            group["lr"] = rate(step, args)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states = model.hidden(x)
            chosen = w > 0
            logits = model.logits(states[chosen])
        losses = F.cross_entropy(logits.float(), y[chosen], reduction="none")
        loss = (losses * w[chosen]).sum() / w.sum()
        model.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(model, args.workers)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step, seen = step + 1, seen + x.numel() * args.workers
        keep = min(0.995, 1 - 1 / (step + 1))
        with torch.no_grad():
            for a, b in zip(average.parameters(), model.parameters()):
                a.lerp_(b, 1 - keep)
        total, weight = total + loss.item(), weight + 1
        if rank:
            continue
        if step % 100 == 0:
            took = time.time() - since
            print("%s step %d loss %.4f tokens %.2fM %.0f/s lr %.5f" % (
                time.strftime("%H:%M:%S"), step, total / weight, seen / 1e6, (seen - mark) / took, rate(step, args)), flush=True)
            spent += took
            total, weight, since, mark = 0.0, 0.0, time.time(), seen
        if step % 250 == 0 or step == args.steps:
            save(checkpoint, model=model.state_dict(), ema=average.state_dict(), optimizers=[o.state_dict() for o in optimizers],
                 config=cfg.dict(), step=step, seen=seen, spent=spent)
        if step % 1000 == 0 or step == args.steps:
            print("  dev", json.dumps(evaluate.quick(average, tok, corpus)), flush=True)
            since = time.time()


if __name__ == "__main__":
    main()
