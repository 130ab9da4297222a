"""Figures of a voice folder as the project's own engine speaks it: `cosyvoice speak --lines` for every voice, then the judges.

sentences.json has the sentences, none of which is in the training text (--apart checks that against folders or lists of it):
  held    40 English and 20 Mandarin; error rates offline and streaming, similarity, pitch and duration against the teacher's same sentences
  many    200 more; odd lengths, long pauses, cut ends
  mixed   20 with words of both languages: words or characters of the main one that were not heard (the recogniser writes one language)
The held sentences are also spoken by the voices of the other language (other), and the teacher's sound of them is turned into each voice (convert()).
Error rates as in evaluate.py. Level: integrated loudness (BS.1770) of a voice's sentences one after another. Pitch: autocorrelation, aligned to the
teacher by dynamic time warping of the mels. Clicks and steady lines are counted in the teacher's sound in the same way, for comparison.
"""
import argparse
import glob
import gzip
import json
import os
import re
import subprocess
import sys

import numpy as np
import torch

import data
from evaluate import Judge, distance, longest_pause, norm_en, norm_zh
from text_tokenizer import VOICES

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = dict(held=("held", []), stream=("held", ["--stream"]), many=("many", []), other=("other", []), mixed=("mixed", []))
OTHER = {v: VOICES[i ^ 2] for i, v in enumerate(VOICES)}            # same sex, other language
NEIGHBOUR = {v: VOICES[i ^ 1] for i, v in enumerate(VOICES)}        # same language, other sex


def language(text):
    """the one with more words or characters"""
    return "en" if len(re.findall("[A-Za-z']+", text)) > len(re.findall("[\u4e00-\u9fff]", text)) else "zh"


def sentences(kind):
    with open(os.path.join(HERE, "sentences.json"), encoding="utf8") as f:
        lists = json.load(f)
    if kind == "other":
        return {v: lists["held"][o][:10] for v, o in OTHER.items()}
    return lists[KINDS[kind][0]]


def compared(kind, text, heard):
    """-> words (English) or characters (Mandarin) that are wrong, and how many there are"""
    norm = norm_zh if language(text) == "zh" else norm_en
    x, y = norm(text), norm(heard)
    if kind == "mixed":
        x, y = ([c for c in z if not c.isascii()] if language(text) == "zh" else z for z in (x, y))
        return missing(x, y), len(x)
    return distance(x, y), len(x)


def rate(pairs):
    """(wrong, of) of each sentence -> of all of them"""
    wrong, of = (sum(x) for x in zip(*pairs))
    return dict(error=round(100 * wrong / of, 1), of=of)


def missing(x, y):
    """items of x that y lacks, the others in order"""
    d = [0] * (len(y) + 1)      # longest common subsequence
    for u in x:
        before = d[:]
        for j, v in enumerate(y, 1):
            d[j] = before[j - 1] + 1 if u == v else max(before[j], d[j - 1])
    return len(x) - d[-1]


def overlap(sources):
    """sentences of the evaluation that stand in manifests (folders) or lists (.jsonl) of training text"""
    asked = {s for kind in ("held", "many", "mixed") for lines in sentences(kind).values() for s in lines}
    found = set()
    for src in sources:
        for path in data.manifests(src) if os.path.isdir(src) else [src]:
            with (gzip.open(path, "rt", encoding="utf8") if path.endswith(".gz") else open(path, encoding="utf8")) as f:
                found |= asked & {json.loads(x)["text"] for x in f}
    return sorted(found)


def speak(a, kind, voice):
    """-> waveforms in the order of the sentences, real-time factors"""
    return spoken(a, kind, voice, sentences(kind)[voice][: a.limit], ["--voice", voice, *KINDS[kind][1]])


def spoken(a, kind, voice, lines, how):
    folder, log = os.path.join(a.out, kind, voice), os.path.join(a.out, f"{kind}.{voice}")
    os.makedirs(folder, exist_ok=True)
    if len(glob.glob(folder + "/*.wav")) != len(lines) or not os.path.exists(log + ".log"):
        with open(log + ".txt", "w", encoding="utf8") as f:
            f.write("\n".join(lines) + "\n")
        told = cosyvoice(a, "--threads", str(a.threads), "--lines", os.path.abspath(log + ".txt"), "--out-dir", os.path.abspath(folder), "--seed", str(a.seed), *how, *a.more)
        with open(log + ".log", "w") as f:
            f.write(told)
    with open(log + ".log") as f:
        factors = [float(b) / float(s) for s, b in re.findall(r"([\d.]+) s of speech in ([\d.]+) s", f.read())]
    return [read(p) for p in sorted(glob.glob(folder + "/*.wav"))], factors


def cosyvoice(a, *how):
    """runs `cosyvoice speak` -> what it printed"""
    run = subprocess.run([a.node, "gpu-node/cli/main.ts", "speak", "--model", os.path.abspath(a.model), "--cache", os.path.abspath(a.cache), *how],
                         cwd=a.repo, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr[-2000:])
    return run.stderr + run.stdout


def read(path):
    import soundfile as sf
    wav, sr = sf.read(path, dtype="float32")
    assert sr == data.SR, sr
    return wav


def pitch(wav, low=60, high=420):
    """Hz per 20 ms, 0 = unvoiced: the highest peak of the normalised autocorrelation of 50 ms"""
    n, hop = 1200, 480
    x = np.pad(wav, (n // 2, n))
    f = np.stack([x[i:i + n] for i in range(0, len(wav), hop)])
    f = (f - f.mean(1, keepdims=True)) * np.hanning(n)
    ac = np.fft.irfft(np.abs(np.fft.rfft(f, 4096)) ** 2)[:, :n]
    w = np.hanning(n)
    shape = np.fft.irfft(np.abs(np.fft.rfft(w, 4096)) ** 2)[:n]
    ac = ac / np.maximum(ac[:, :1], 1e-6) / np.maximum(shape / shape[0], 1e-3)
    a, b = data.SR // high, data.SR // low
    k = ac[:, a:b].argmax(1)
    return np.where((ac[np.arange(len(k)), a + k] > 0.6) & (np.abs(f).max(1) > 0.01), data.SR / (a + k), 0.0)


def pitch_match(wav, ref):
    """correlation of log F0 over the frames that time warping puts together and that are voiced in both"""
    import librosa
    m, r = (data.mel24(torch.from_numpy(np.ascontiguousarray(w))[None])[0].numpy() for w in (wav, ref))
    _, path = librosa.sequence.dtw(m, r, metric="cosine")
    p, q = pitch(wav), pitch(ref)
    pairs = np.array([(p[i], q[j]) for i, j in path if i < len(p) and j < len(q) and p[i] and q[j]])
    return float(np.corrcoef(np.log(pairs).T)[0, 1]) if len(pairs) > 20 else None


def clicks(wav):
    """moments of 1 ms in which the sound above 9 kHz stands out by 25 dB from the 60 ms around and is above -50 dB of full scale"""
    s = np.abs(np.fft.rfft(np.stack([wav[i:i + 64] for i in range(0, len(wav) - 64, 24)]) * np.hanning(64)))[:, 25:]
    e = 20 * np.log10(np.sqrt((s ** 2).mean(1)) / 16 + 1e-7)
    around = np.array([np.median(e[max(0, i - 30):i + 31]) for i in range(len(e))])
    hit = (e > around + 25) & (e > -50)
    return int((np.diff(np.concatenate([[0], hit.astype(int)])) == 1).sum())


def steady_line(wavs):
    """(dB, Hz) of the strongest spectral line that stays where it is while the pitch moves: over its neighbourhood, in the mean log spectrum of the loud frames"""
    rows = []
    for w in wavs:
        s = torch.stft(torch.from_numpy(np.ascontiguousarray(w)), 2048, 512, window=torch.hann_window(2048), return_complex=True).abs().numpy()
        e = (s ** 2).sum(0)
        rows.append(20 * np.log10(s[:, e > e.max() * 1e-3] + 1e-4))
    m = np.concatenate(rows, 1).mean(1)
    ground = np.array([np.median(m[max(0, i - 12):i + 13]) for i in range(len(m))])
    i = int((m - ground)[30:-12].argmax()) + 30
    return round(float((m - ground)[i]), 1), round(i * data.SR / 2048)


def lengths(rows):
    """length of each sentence over what a line fitted through the voice's own lengths lets expect from its letters and commas"""
    x = np.array([(r["letters"], 1 + r["commas"], 1) for r in rows])
    y = np.array([r["seconds"] for r in rows])
    return y / (x @ np.linalg.lstsq(x, y, rcond=None)[0])


def judge(a, kind, teacher, judges):
    rows = []
    for voice in VOICES:
        wavs, factors = speak(a, kind, voice)
        own = []
        for text, w, factor in zip(sentences(kind)[voice], wavs, factors):
            lang = language(text)
            tail = 20 * np.log10(np.sqrt(np.mean(w[-480:] ** 2)) / np.sqrt(np.mean(w ** 2)) + 1e-9)
            r = dict(voice=voice, lang=lang, text=text, seconds=len(w) / data.SR, rtf=factor, pause=longest_pause(w), tail=float(tail), clicks=clicks(w),
                     letters=len(norm_zh(text)) if lang == "zh" else len(re.sub("[^a-z]", "", text.lower())), commas=len(re.findall("[,，、]", text)))
            if kind != "many":
                heard = judges.hear(w, lang)
                wrong, of = compared(kind, text, heard)
                r |= dict(heard=heard, wrong=wrong, of=of)
                ref = teacher.get((voice, text))
                if ref is not None:
                    r |= dict(alike=judges.alike(w, ref), ratio=len(w) / len(ref), pitch=pitch_match(w, ref))
            own.append(r)
        level = data.loudness(np.concatenate(wavs))
        for r, q in zip(own, lengths(own)):
            r |= dict(expected=float(q), level=level)
            r["odd"] = not 0.6 <= q <= 1.6 or r["pause"] > 1 or r["tail"] > -10
        rows += own
    return rows


def imitate(a, judges, most=6):
    """zero-shot with the clips NAME.prompt.wav (what is said: NAME.prompt.txt) of the folder: similarity of what is spoken to NAME.ref.wav, another sentence of the
    same speaker; beside it that of the clip itself and of the nearest fixed voice"""
    out = {}
    for clip in sorted(glob.glob(os.path.join(a.prompts, "*.prompt.wav"))):
        name = os.path.basename(clip)[:-len(".prompt.wav")]
        with open(clip[:-4] + ".txt", encoding="utf8") as f:
            said = f.read().strip()
        lang, ref = language(said), read(clip[:-len("prompt.wav")] + "ref.wav")
        lines = [s for v in VOICES for s in sentences("held")[v] if language(s) == lang and s != said][:most]
        wavs, _ = spoken(a, "imitate", name, lines, ["--prompt-audio", os.path.abspath(clip), "--prompt-text", said])
        heard = [compared("imitate", text, judges.hear(w, lang)) for w, text in zip(wavs, lines)]
        fixed = {v: float(np.mean([judges.alike(w, ref) for w in speak(a, "held", v)[0][:3]])) for v in VOICES}
        near = max(fixed, key=fixed.get)
        out[name] = dict(alike=round(float(np.mean([judges.alike(w, ref) for w in wavs])), 3), clip=round(judges.alike(read(clip), ref), 3), nearest={near: round(fixed[near], 3)},
                         **rate(heard))
        print("imitate", name, out[name], flush=True)
    return out


def convert(a, teacher, judges, most=5):
    """the teacher's sound of another voice, turned into each voice: error rate, and similarity to the teacher's sentence in the voice asked for and in the one before"""
    import soundfile as sf
    out = {}
    for voice, source in NEIGHBOUR.items():
        lines = [s for v, s in teacher if v == source][:most]
        own = next(w for (v, _), w in teacher.items() if v == voice)
        folder = os.path.join(a.out, "convert", voice)
        os.makedirs(folder, exist_ok=True)
        heard, alike, was = [], [], []
        for i, text in enumerate(lines):
            path, done = (os.path.abspath(os.path.join(folder, f"{i}.{x}.wav")) for x in ("source", "done"))
            sf.write(path, teacher[source, text], data.SR)
            if not os.path.exists(done):
                cosyvoice(a, "--source-audio", path, "--voice", voice, "-o", done)
            w = read(done)
            heard.append(compared("convert", text, judges.hear(w, language(text))))
            alike.append(judges.alike(w, own))
            was.append(judges.alike(w, teacher[source, text]))
        out[voice] = dict(source=source, **rate(heard), alike=round(float(np.mean(alike)), 3), source_alike=round(float(np.mean(was)), 3))
        print("convert", voice, out[voice], flush=True)
    return out


def summary(rows):
    mean = lambda k: (lambda x: round(float(np.mean(x)), 3) if x else None)([r[k] for r in rows if r.get(k) is not None])
    out = dict(sentences=len(rows), rtf=round(sum(r["rtf"] * r["seconds"] for r in rows) / sum(r["seconds"] for r in rows), 3), odd=sum(r["odd"] for r in rows),
               clicks=sum(r["clicks"] for r in rows), level=mean("level"))
    if "of" in rows[0]:
        out |= rate((r["wrong"], r["of"]) for r in rows) | dict(right=sum(not r["wrong"] for r in rows),
                    alike=mean("alike"), pitch=mean("pitch"), ratio=mean("ratio"))
    return out


def pictures(a, kind="held", each=5):
    """spectrograms to 12 kHz of `each` sentences of every voice, five on a sheet"""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    for voice in VOICES:
        wavs, _ = speak(a, kind, voice)
        fig, ax = plt.subplots(each, 1, figsize=(15, 3 * each))
        for x, w, text in zip(ax, wavs, sentences(kind)[voice]):
            x.specgram(w + 1e-6 * np.random.default_rng(0).standard_normal(len(w)), NFFT=768, noverlap=576, Fs=data.SR, vmin=-140, vmax=-35, cmap="magma")
            x.set_title(text if text.isascii() else f"sentence {sentences(kind)[voice].index(text) + 1}", fontsize=9)
        fig.tight_layout()
        fig.savefig(os.path.join(a.pictures, f"{kind}.{voice}.png"), dpi=70)
        plt.close(fig)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--repo", default=os.path.join(HERE, "..", ".."), help="checkout with the engine, dependencies installed")
    ap.add_argument("--node", default="node")
    ap.add_argument("--model", required=True)
    ap.add_argument("--held", required=True, help="folder with the teacher's audio of the held sentences")
    ap.add_argument("--whisper", required=True)
    ap.add_argument("--out", required=True, help="folder for sounds and logs; what is there is not spoken again")
    ap.add_argument("--cache", help="engine's cache; default is OUT/cache")
    ap.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    ap.add_argument("--limit", type=int, default=1000, help="sentences per voice")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="last of all: further options of `cosyvoice speak`, for example --precision fp32")
    ap.add_argument("--apart", nargs="*", default=[], help="training folders or sentence lists: stops if a sentence of the evaluation is among them")
    ap.add_argument("--prompts", help="folder of clips to imitate, see imitate()")
    ap.add_argument("--convert", action="store_true", help="voice conversion too, see convert()")
    ap.add_argument("--pictures", help="folder for spectrograms")
    ap.add_argument("--json")
    ap.add_argument("--show", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    a.cache = a.cache or os.path.join(a.out, "cache")
    os.makedirs(a.out, exist_ok=True)
    both = overlap(a.apart)
    if both:
        sys.exit(f"{len(both)} sentences of the evaluation are in the training text, for example: {both[0]}")
    teacher = {(x["voice"], x["text"]): data.level(x["voice"], w) for x, w in data.utterances(a.held)}
    judges, out, rows = Judge(a.whisper, a.threads, True), {}, {}
    for kind in a.kinds:
        rows[kind] = judge(a, kind, teacher, judges)
        groups = {k: [r for r in rows[kind] if k in (r["lang"], r["voice"])] for k in ["en", "zh", *VOICES]}
        out[kind] = {k: summary(v) for k, v in groups.items() if v}
        for k, v in out[kind].items():
            print(f"{kind:7s}{k:12s}" + "  ".join(f"{n} {x}" for n, x in v.items()), flush=True)
        for r in rows[kind]:
            if r["odd"] or a.show:
                print("   odd" if r["odd"] else "   ", r["voice"], r["text"], "|", r.get("heard", ""), "|", *(f"{k} {r[k]:.2f}" for k in ("seconds", "expected", "pause", "tail")))
    out["steady_line"] = {v: dict(voice=steady_line(speak(a, "held", v)[0]), teacher=steady_line([w for (u, _), w in teacher.items() if u == v])) for v in VOICES if "held" in a.kinds}
    if a.prompts:
        out["imitate"] = imitate(a, judges)
    if a.convert:
        out["convert"] = convert(a, teacher, judges)
    out["teacher_clicks"] = sum(clicks(w) for w in teacher.values())
    print(json.dumps({k: out[k] for k in ("steady_line", "teacher_clicks")}))
    if a.json:
        with open(a.json, "w", encoding="utf8") as f:
            json.dump(dict(summary=out, sentences=rows), f, ensure_ascii=False, indent=1)
    if a.pictures:
        os.makedirs(a.pictures, exist_ok=True)
        pictures(a)


if __name__ == "__main__":
    main()
