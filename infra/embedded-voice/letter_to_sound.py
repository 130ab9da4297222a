"""Pronunciation of unknown English words: trains the small network of gpu-node/text/letter-to-sound.ts.

    python letter_to_sound.py train --cmu CMU/index.js --out letter-to-sound.bin --minutes 15
    python letter_to_sound.py score --cmu CMU/index.js --model letter-to-sound.bin

Every letter of a word gives nothing, one phone or two (`x` is K S); the split is found by hard EM. A bidirectional GRU
of two layers then names the group of each letter, stress included. Weights are stored as int8 with one scale per row.
One word in twenty, chosen by a hash of its spelling, is never trained on; `score` measures on those.
"""
import argparse
import collections
import hashlib
import json
import math
import re
import struct
import time

import numpy as np
import torch

LETTERS = "abcdefghijklmnopqrstuvwxyz"
EMBED, HIDDEN, LAYERS = 32, 96, 2


def load(path):
    """First pronunciation of every word of plain letters; letters that are said one by one are another matter."""
    from frontend import load_cmu
    words = {w: p.split() for w, p in load_cmu(path).items() if re.fullmatch("[a-z]{2,24}", w)}
    return {w: p for w, p in words.items() if len(p) <= 1.4 * len(w) and re.search("[aeiouy]", w)}


def held_out(word):
    return hashlib.md5(word.encode()).digest()[0] % 20 == 0


def align(words, rounds=6):
    """-> word -> one tuple of phones per letter"""
    counts = collections.Counter()
    best = {}
    for number in range(rounds):
        total = collections.Counter()
        for (letter, _), n in counts.items():
            total[letter] += n
        new = collections.Counter()
        for word, phones in words.items():
            plain = [p.rstrip("012") for p in phones]
            path = viterbi(word, plain, counts, total, number == 0)
            if path is None:
                best.pop(word, None)
                continue
            best[word] = path
            at = 0
            for letter, n in zip(word, path):
                new[letter, tuple(plain[at:at + n])] += 1
                at += n
        counts = new
        print("alignment", number, len(best), flush=True)
    out = {}
    for word, path in best.items():
        at, groups = 0, []
        for n in path:
            groups.append(tuple(words[word][at:at + n]))
            at += n
        out[word] = groups
    return out


def viterbi(word, phones, counts, total, first):
    rows, columns = len(word), len(phones)
    score = [[-math.inf] * (columns + 1) for _ in range(rows + 1)]
    back = [[0] * (columns + 1) for _ in range(rows + 1)]
    score[0][0] = 0.0
    for i, letter in enumerate(word):
        for j in range(columns + 1):
            if score[i][j] == -math.inf:
                continue
            for n in (0, 1, 2):
                if j + n > columns:
                    break
                if first:
                    # one phone per letter, vowels with vowel letters
                    cost = (-1.5, -0.1, -4.0)[n]
                    if n == 1 and (phones[j][0] in "AEIOU") != (letter in "aeiouy"):
                        cost -= 3
                else:
                    cost = math.log((counts[letter, tuple(phones[j:j + n])] + 0.01) / (total[letter] + 10))
                if score[i][j] + cost > score[i + 1][j + n]:
                    score[i + 1][j + n] = score[i][j] + cost
                    back[i + 1][j + n] = n
    if score[rows][columns] == -math.inf:
        return None
    path, j = [], columns
    for i in range(rows, 0, -1):
        path.append(back[i][j])
        j -= back[i][j]
    return path[::-1]


class Network(torch.nn.Module):
    def __init__(self, groups):
        super().__init__()
        self.embed = torch.nn.Embedding(len(LETTERS) + 1, EMBED, padding_idx=0)
        self.gru = torch.nn.GRU(EMBED, HIDDEN, LAYERS, batch_first=True, bidirectional=True, dropout=0.15)
        self.out = torch.nn.Linear(2 * HIDDEN, groups)

    def forward(self, ids, lengths):
        packed = torch.nn.utils.rnn.pack_padded_sequence(self.embed(ids), lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = torch.nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return self.out(hidden)


def encode(word):
    return [LETTERS.index(c) + 1 for c in word]


def batch_of(words, targets=None):
    width = max(map(len, words))
    ids = torch.zeros(len(words), width, dtype=torch.long)
    goal = torch.full((len(words), width), -100, dtype=torch.long)
    for row, word in enumerate(words):
        ids[row, :len(word)] = torch.tensor(encode(word))
        if targets is not None:
            goal[row, :len(word)] = torch.tensor(targets[word])
    return ids, torch.tensor([len(w) for w in words]), goal


def train(args):
    torch.manual_seed(1)
    torch.set_num_threads(args.threads)
    words = load(args.cmu)
    aligned = align(words)
    counted = collections.Counter(g for groups in aligned.values() for g in groups)
    groups = sorted(g for g, n in counted.items() if n >= 10)
    index = {g: i for i, g in enumerate(groups)}
    targets = {w: [index[g] for g in gs] for w, gs in aligned.items() if all(g in index for g in gs)}
    known = [w for w in targets if not held_out(w)]
    print(len(words), "words,", len(known), "to train,", len(groups), "groups", flush=True)
    net = Network(len(groups))
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=0.01)
    rng = np.random.default_rng(1)
    start, step, loss_sum = time.time(), 0, 0.0
    while True:
        order = sorted(range(len(known)), key=lambda i: len(known[i]) + rng.random() * 3)
        blocks = [order[i:i + 256] for i in range(0, len(order), 256)]
        rng.shuffle(blocks)
        for block in blocks:
            done = (time.time() - start) / (60 * args.minutes)
            if done >= 1:
                save(args.out, net.eval(), groups)
                return score(args)
            for g in optimizer.param_groups:
                g["lr"] = 4e-3 * min(1, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * done)) + 1e-6
            ids, lengths, goal = batch_of([known[i] for i in block], targets)
            loss = torch.nn.functional.cross_entropy(net(ids, lengths).flatten(0, 1), goal.flatten(), ignore_index=-100, label_smoothing=0.03)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            step += 1
            loss_sum += loss.item()
            if step % 200 == 0:
                print(f"{time.time() - start:.0f} s step {step} loss {loss_sum / 200:.3f}", flush=True)
                loss_sum = 0.0


def save(path, net, groups):
    """u32 length, JSON {embed, hidden, layers, groups, tensors: [[name, rows, columns]]}, then per tensor rows × f32 scales and rows × columns int8."""
    tensors, body = [], b""
    for name, value in net.state_dict().items():
        rows = value.detach().numpy().reshape(value.shape[0], -1) if value.dim() > 1 else value.detach().numpy().reshape(1, -1)
        scale = np.maximum(np.abs(rows).max(1), 1e-8) / 127
        tensors.append([name, rows.shape[0], rows.shape[1]])
        body += scale.astype("<f4").tobytes() + np.round(rows / scale[:, None]).astype(np.int8).tobytes()
    head = json.dumps(dict(embed=EMBED, hidden=HIDDEN, layers=LAYERS, groups=[" ".join(g) for g in groups], tensors=tensors)).encode()
    head += b" " * (-(len(head) + 4) % 4)
    with open(path, "wb") as f:
        f.write(struct.pack("<I", len(head)) + head + body)
    print(path, 4 + len(head) + len(body), "bytes")


def restore(path):
    data = open(path, "rb").read()
    size = struct.unpack("<I", data[:4])[0]
    head = json.loads(data[4:4 + size])
    net, at, state = Network(len(head["groups"])), 4 + size, {}
    for name, rows, columns in head["tensors"]:
        scale = np.frombuffer(data, "<f4", rows, at)
        values = np.frombuffer(data, np.int8, rows * columns, at + 4 * rows).reshape(rows, columns) * scale[:, None]
        at += 4 * rows + rows * columns
        state[name] = torch.from_numpy(values.astype(np.float32)).reshape(net.state_dict()[name].shape)
    net.load_state_dict(state)
    return net.eval(), [tuple(g.split()) for g in head["groups"]]


@torch.no_grad()
def pronounce(net, groups, words):
    out = {}
    for i in range(0, len(words), 512):
        block = words[i:i + 512]
        ids, lengths, _ = batch_of(block)
        best = net(ids, lengths).argmax(-1)
        for row, word in enumerate(block):
            out[word] = [p for g in best[row, :len(word)] for p in groups[g]]
    return out


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        previous, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            previous, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, previous + (x != y))
    return row[-1]


def score(args):
    """Word and phone error on the held-out words: with stress, and without."""
    net, groups = restore(args.model or args.out)
    words = {w: p for w, p in load(args.cmu).items() if held_out(w)}
    said = pronounce(net, groups, sorted(words))
    bare = lambda phones: [p.rstrip("012") for p in phones]
    for name, form in (("with stress", list), ("without stress", bare)):
        wrong = sum(form(said[w]) != form(p) for w, p in words.items())
        edits = sum(distance(form(said[w]), form(p)) for w, p in words.items())
        print(f"{name}: word error {wrong / len(words):.3f}, phone error {edits / sum(map(len, words.values())):.3f} ({len(words)} words)")
    if args.answers:
        sample = sorted(words, key=lambda w: hashlib.md5(w.encode()).hexdigest())[:400]
        json.dump([[w, " ".join(words[w]), " ".join(said[w])] for w in sample], open(args.answers, "w"), indent=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["train", "score"])
    parser.add_argument("--cmu", required=True)
    parser.add_argument("--out", default="letter-to-sound.bin")
    parser.add_argument("--model")
    parser.add_argument("--answers", help="JSON of 400 held-out words: spelling, dictionary, network")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    train(args) if args.command == "train" else score(args)
