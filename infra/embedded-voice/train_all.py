"""Runs all stages on one work folder; every stage resumes where it was when the command is given again.

CPU:  python train_all.py --data DATA --plans PLANS --work WORK --official COSYVOICE --matcha MATCHA
GPU:  the same with --device cuda --half --batch-factor 8; the stages then run side by side
"""
import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
STAGES = {                           # name -> script, arguments, steps, batch
    "speaker": ("train_speaker.py", [], 1500, 24),
    "tokenizer": ("train_tokenizer.py", [], 5500, 12),
    "lm": ("train_lm.py", ["--lr", "1.2e-3", "--cool", "0.9", "--splice", "0.15", "--drop", "0.08"], 20000, 2000),
    "flow": ("train_flow.py", ["--lr", "1.5e-3", "--cool", "0.95", "--warm", "300", "--twice", "zh"], 60000, 450),
    "mels": ("make_mels.py", ["--flow", "{work}/flow.pt", "--speaker", "{work}/speaker.pt", "--out", "{work}/made.pt"], 0, 8),
    "f0": ("train_hift.py", ["--stage", "f0", "--lr", "2e-3", "--made", "{work}/made.pt"], 1500, 16),
    "spectral": ("train_hift.py", ["--stage", "spectral", "--made", "{work}/made.pt", "--own", "0.5"], 13000, 4),
    "gan": ("train_hift.py", ["--stage", "gan", "--lr", "2e-4", "--made", "{work}/made.pt", "--own", "0.5"], 3000, 4),
}
CHAINS = [["speaker", "flow", "mels", "f0", "spectral", "gan"], ["tokenizer"], ["lm"]]


def command(a, name):
    script, extra, steps, batch = STAGES[name]
    folders = [os.path.join(a.data, "train")] + (a.plans if name == "lm" else [os.path.join(a.data, "speakers")])
    out = [sys.executable, os.path.join(HERE, script), "--data", *folders, "--work", a.work, "--threads", str(a.threads), "--batch", str(max(1, int(batch * a.batch_factor)))]
    if name != "mels":
        out += ["--device", a.device, "--steps", str(max(1, int(steps * a.steps_factor)))] + ["--half"] * a.half
    return out + [x.format(work=a.work) for x in extra]


def run(a, name, env):
    with open(os.path.join(a.work, name + ".log"), "a") as log:
        return subprocess.Popen(command(a, name), stdout=log, stderr=subprocess.STDOUT, env=env)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", required=True, help="packaged data (train/, speakers/, held/)")
    ap.add_argument("--plans", nargs="*", default=[], help="folders of `teacher.py plans`, for the language model")
    ap.add_argument("--work", required=True)
    ap.add_argument("--official", required=True, help="checkout of the CosyVoice repository")
    ap.add_argument("--matcha", required=True, help="checkout of Matcha-TTS")
    ap.add_argument("--device", default="cpu")
    ap.add_argument("--half", action="store_true", help="see loop.py")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--steps-factor", type=float, default=1.0)
    ap.add_argument("--batch-factor", type=float, default=1.0)
    ap.add_argument("--only", nargs="*", help="names of stages: " + " ".join(STAGES))
    a = ap.parse_args()
    os.makedirs(a.work, exist_ok=True)
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([a.official, a.matcha]), OMP_NUM_THREADS=str(a.threads))
    for d in ("train", "speakers"):
        subprocess.run([sys.executable, os.path.join(HERE, "data.py"), os.path.join(a.data, d), os.path.join(a.work, "features." + d)], check=True, env=env)
    chains = [[n for n in c if not a.only or n in a.only] for c in CHAINS]
    if a.device == "cpu":
        chains = [[n for c in chains for n in c]]
    running = {}
    while any(chains) or running:
        for i, c in enumerate(chains):
            if c and i not in running:
                running[i] = (c[0], run(a, c[0], env))
                chains[i] = c[1:]
        i = next(iter(running))
        for j, (_, p) in running.items():
            if p.poll() is not None:
                i = j
        name, p = running.pop(i)
        if p.wait() != 0:
            for _, q in running.values():
                q.terminate()
            raise SystemExit(f"stage {name} failed, see {name}.log in the work folder")


if __name__ == "__main__":
    main()
