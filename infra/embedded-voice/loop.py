"""The training loop all stages share: seeded, resumable after a kill at any moment, averaged weights, losses to the log."""
import os
import random
import shutil
import signal
import time

import torch

import nano


def arguments(ap, steps, lr, batch):
    ap.add_argument("--data", nargs="+", required=True, help="packaged folders, for example DATA/train DATA/speakers")
    ap.add_argument("--work", required=True, help="state.STAGE.pt (resumed when there), NAME.pt (averaged weights) and the feature cache live here")
    ap.add_argument("--steps", type=int, default=steps)
    ap.add_argument("--lr", type=float, default=lr)
    ap.add_argument("--batch", type=int, default=batch)
    ap.add_argument("--cool", type=float, default=0.3, help="share of the steps over which the rate falls to 3 %%")
    ap.add_argument("--warm", type=int, default=200)
    ap.add_argument("--ema", type=float, default=0.998, help="averaging of the weights over steps")
    ap.add_argument("--seed", type=int, default=6)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--device", default="cpu")
    ap.add_argument("--half", action="store_true", help="bfloat16 products in speech tokenizer, language model and flow, where the device multiplies them")
    ap.add_argument("--save-every", type=float, default=120, help="seconds")
    ap.add_argument("--stop-after", type=int, default=10 ** 9, help="end this run after so many steps (rehearsals)")
    return ap


def begin(a):
    """seeds everything, makes the folder, stops cleanly on SIGTERM"""
    os.makedirs(a.work, exist_ok=True)
    torch.set_num_threads(a.threads)
    random.seed(a.seed)
    torch.manual_seed(a.seed)


def rate(a, step):
    """warm-up, constant, then down to 3 % over the last part"""
    return a.lr * min(1, (step + 1) / a.warm) * min(1.0, max(0.03, (a.steps - step) / max(1, a.steps * a.cool)))


def state_path(a, stage):
    return os.path.join(a.work, f"state.{stage}.pt")


def load_state(a, stage):
    path = state_path(a, stage)
    return torch.load(path, map_location=a.device, weights_only=False) if os.path.exists(path) else None


def train(a, stage, deliverable, net, params, batches, losses, export, measure=None, old=None, extra=None, after=None, clip=1.0, betas=(0.9, 0.98), decay=0.01):
    """deliverable: name of the file that export() writes while the averaged weights are in place; with measure() (parts for held-back data, the first
    decides) the best one is kept as best.NAME. batches(seed) -> iterator; losses(batch) -> (total, parts to log); extra: further named objects with a state_dict (discriminators, their optimizer); after(step): called after every step"""
    opt = torch.optim.AdamW([dict(params=[p for p in params if p.ndim > 1], weight_decay=decay), dict(params=[p for p in params if p.ndim < 2], weight_decay=0.0)],
                            a.lr, betas=betas, fused=True)
    best = []
    ema, step, extra = [p.detach().clone() for p in params], 0, extra or {}
    if old is not None:
        net.load_state_dict(old["net"]); opt.load_state_dict(old["opt"])
        ema, step = old["ema"], old["step"]
        for k, v in extra.items():
            v.load_state_dict(old["extra"][k])
        torch.manual_seed(a.seed + step); random.seed(a.seed + step)
    print(f"{stage}: {nano.count(net)} parameters, from step {step}", flush=True)

    def swap():
        for e, p in zip(ema, params):
            e.data, p.data = p.data, e.data

    def save():
        swap(); export(); swap()
        nano.write(dict(net=net.state_dict(), opt=opt.state_dict(), ema=ema, step=step, extra={k: v.state_dict() for k, v in extra.items()}), state_path(a, stage))
        if measure:
            net.eval(); swap()
            with torch.no_grad(), torch.random.fork_rng():
                torch.manual_seed(0)
                parts = measure()
            swap(); net.train()
            best.append(next(iter(parts.values())))
            mark = " best" if best[-1] == min(best) else ""
            if mark:
                shutil.copy(os.path.join(a.work, deliverable), os.path.join(a.work, "best." + deliverable))
            print(f"dev  {show(parts)}{mark}", flush=True)
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    it, t0, last, first, run, usual = batches(a.seed + step), time.time(), time.time(), step, {}, None
    while step < a.steps and step - first < a.stop_after and not stop:
        for g in opt.param_groups:
            g["lr"] = rate(a, step)
        loss, parts = losses(next(it))
        opt.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(params, clip))
        usual = norm if usual is None else min(usual * 0.98 + norm * 0.02, usual * 1.05)
        if norm < 40 * usual:           # one odd batch must not undo an hour: its step is left out
            opt.step()
        else:
            print(f"step {step} left out, gradient {norm:.1f} (usual {usual:.1f})", flush=True)
        step += 1
        with torch.no_grad():
            if after:
                after(step)
            torch._foreach_lerp_(ema, params, 1 - min(a.ema, (1 + step) / (20 + step)))
        for k, v in parts.items():
            run[k] = float(v) if k not in run else run[k] * 0.98 + float(v) * 0.02
        if step % 50 == 0:
            print(f"step {step} {time.time() - t0:.0f}s {show(run)} lr {rate(a, step):.5f}", flush=True)
        if time.time() - last > a.save_every:
            save(); last = time.time()
    save()


def show(parts):
    return " ".join(f"{k} {v:.4f}" for k, v in parts.items())
