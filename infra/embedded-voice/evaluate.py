"""Figures of a voice folder, stage by stage, on sentences that were never trained on.

stages  teacher    the teacher's audio
        vocoder    HiFT on the teacher's mel
        tokens     codes of the teacher's alignment -> flow -> HiFT
        stream     the same with the flow's streaming masks
        tokenizer  codes that the ONNX speech tokenizer finds in the teacher's audio -> flow -> HiFT
        text       text -> LM -> flow -> HiFT
Error rates (words for English, characters for Mandarin) by Whisper base (CTranslate2, int8, beam 5, greedy temperature 0), similarity to the teacher by
resemblyzer, pitch as the vocoder's F0 predictor reads it from the mel, level in dB of full scale, and odd lengths: under 0.6 or over 1.6 of
the teacher's, or a pause of more than a second.
"""
import argparse
import json
import os
import re
import time

import numpy as np
import torch

import codes
import data
from make_text import num, znum


def norm_en(s):
    s = s.lower().replace("%", " percent").replace("-", " ")
    s = re.sub(r"(\d+):(\d\d)", lambda m: num(int(m[1])) + " " + num(int(m[2])), s)
    s = re.sub(r"\$ ?(\d+)", r"\1 dollars", s)
    s = re.sub(r"\d+", lambda m: " " + num(int(m[0])) + " ", s)
    return [w for w in re.sub(r"[^a-z' ]", " ", s).split()]


def norm_zh(s):
    from zhconv import convert
    s = convert(s, "zh-cn")        # the recogniser writes some sentences in traditional characters
    s = re.sub(r"\d+", lambda m: znum(int(m[0])) if len(m[0]) < 8 else m[0], s)
    s = s.replace("两", "二").replace("她", "他").replace("它", "他")
    return list(re.sub(r"[^\u4e00-\u9fffa-zA-Z]", "", s))


def distance(a, b):
    d = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        p, d = d[:], [i] + [0] * len(b)
        for j, y in enumerate(b, 1):
            d[j] = min(p[j] + 1, d[j - 1] + 1, p[j - 1] + (x != y))
    return d[-1]


class Judge:
    """recogniser and speaker encoder"""

    def __init__(self, whisper, threads, similarity):
        from faster_whisper import WhisperModel
        self.asr = WhisperModel(whisper, device="cpu", compute_type="int8", cpu_threads=threads)
        self.enc = None
        if similarity:
            from resemblyzer import VoiceEncoder
            self.enc = VoiceEncoder("cpu", verbose=False)

    def hear(self, wav, lang):
        wav = np.pad(wav, (0, 6000))       # the recogniser drops a last word that ends at the very end
        w16 = data.resample16(torch.from_numpy(np.ascontiguousarray(wav))).numpy()
        seg, _ = self.asr.transcribe(w16, language=lang, beam_size=5, initial_prompt="以下是普通话的句子。" if lang == "zh" else None,
                                     condition_on_previous_text=False, temperature=0.0)
        return "".join(s.text for s in seg)

    def alike(self, a, b):
        if self.enc is None or len(a) < 8000:
            return None
        x, y = (self.enc.embed_utterance(data.resample16(torch.from_numpy(np.ascontiguousarray(w))).numpy()) for w in (a, b))
        return float(np.dot(x, y))


def longest_pause(w):
    """seconds between sounds, the ends not counted"""
    e = np.abs(w[: len(w) // 240 * 240]).reshape(-1, 240).max(1) > 0.01
    on = np.nonzero(e)[0]
    return float(np.diff(on).max()) / 100 if len(on) > 1 else 0.0


def speak(voice, stage, u, tokenizer, seed):
    """-> waveform, mel or None"""
    if stage == "teacher":
        return u["wav"].float().numpy() / 32767, None
    if stage == "vocoder":
        mel = u["mel"].float()[None]
    elif stage == "tokens":
        mel = voice.mel(u["speech"], u["voice"])
    elif stage == "stream":
        mel = voice.mel(u["speech"], u["voice"], streaming=True)
    elif stage == "tokenizer":
        f = data.whisper(u).float()[None].numpy()
        mel = voice.mel(tokenizer.run(None, {"feats": f, "feats_length": np.array([f.shape[2]], np.int32)})[0].flatten(), u["voice"])
    else:
        t = voice.tokens(u["text"], u["voice"], seed)
        if not t:
            return np.zeros(4800, np.float32), None
        mel = voice.mel(t, u["voice"])
    return voice.wav(mel), mel


def pitch_match(voice, mel, f0):
    """correlation of log F0 where both are voiced"""
    with torch.inference_mode():
        p = voice.hift.f0_predictor(mel)[0].numpy()
    f0 = f0.numpy()[: len(p)]
    ok = (p[: len(f0)] > 50) & (f0 > 50)
    return float(np.corrcoef(np.log(p[: len(f0)][ok]), np.log(f0[ok]))[0, 1]) if ok.sum() > 20 else None


def pitches(model):
    """voice -> mean log F0 that its pitch levels are measured from: of the folder, or pitch.json beside this file, from 1.48 hours of the bundled voice's data"""
    own = os.path.join(model, "pitch.json")
    with open(own if os.path.exists(own) else os.path.join(os.path.dirname(os.path.abspath(__file__)), "pitch.json")) as f:
        return json.load(f)


def mean(xs):
    xs = [x for x in xs if x is not None]
    return round(float(np.mean(xs)), 3) if xs else None


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--held", required=True)
    ap.add_argument("--model", required=True)
    ap.add_argument("--whisper", required=True)
    ap.add_argument("--stages", nargs="+", default=["teacher", "vocoder", "tokens", "stream", "tokenizer", "text"])
    ap.add_argument("--wav-out")
    ap.add_argument("--json", help="file for the figures")
    ap.add_argument("--limit", type=int, default=1000, help="sentences per language")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--similarity", action="store_true")
    ap.add_argument("--temperature", type=float, default=1.0)
    ap.add_argument("--guidance", type=float)
    ap.add_argument("--show", action="store_true")
    a = ap.parse_args()
    import soundfile as sf
    from infer import Voice
    torch.set_num_threads(a.threads)
    utts = codes.assign([data.features(x, w) for x, w in data.utterances(a.held)], pitches(a.model))
    voice, judge, tok = Voice(a.model, a.threads, a.temperature, a.guidance), Judge(a.whisper, a.threads, a.similarity), None
    if "tokenizer" in a.stages:
        import onnxruntime as ort
        tok = ort.InferenceSession(os.path.join(a.model, "speech_tokenizer_v2.onnx"), providers=["CPUExecutionProvider"])
    if a.wav_out:
        os.makedirs(a.wav_out, exist_ok=True)
    out = {}
    for st in a.stages:
        out[st] = {}
        for lang in ("en", "zh"):
            rows = []
            for u in [u for u in utts if u["lang"] == lang][: a.limit]:
                ref = u["wav"].float().numpy() / 32767
                t0 = time.time()
                w, mel = speak(voice, st, u, tok, a.seed)
                took = time.time() - t0
                hyp = judge.hear(w, lang)
                r, h = (norm_zh(u["raw"]), norm_zh(hyp)) if lang == "zh" else (norm_en(u["raw"]), norm_en(hyp))
                ratio = len(w) / len(ref)
                rows.append(dict(wrong=distance(r, h), of=len(r), seconds=len(w) / 24000, took=took, ratio=ratio,
                                 odd=not 0.6 <= ratio <= 1.6 or longest_pause(w) > 1.0, level=10 * np.log10(np.mean(w ** 2) + 1e-9),
                                 alike=judge.alike(w, ref), pitch=pitch_match(voice, mel, u["f0"]) if mel is not None and st != "text" else None))
                if a.show:
                    print(f"  {st} {u['id']} {u['voice']} {len(w)/24000:.1f}s {rows[-1]['wrong']}/{len(r)} | {u['raw']} | {hyp}", flush=True)
                if a.wav_out:
                    sf.write(os.path.join(a.wav_out, f"{st}_{u['id']}.wav"), w, 24000)
            if rows:
                out[st][lang] = dict(error=round(100 * sum(r["wrong"] for r in rows) / sum(r["of"] for r in rows), 1), units=sum(r["of"] for r in rows),
                                     similarity=mean(r["alike"] for r in rows), pitch=mean(r["pitch"] for r in rows), length=mean(r["ratio"] for r in rows),
                                     odd=sum(r["odd"] for r in rows), level=mean(r["level"] for r in rows),
                                     rtf=round(sum(r["took"] for r in rows) / sum(r["seconds"] for r in rows), 3))
        print(st, json.dumps(out[st]), flush=True)
    if a.json:
        with open(a.json, "w") as f:
            json.dump(out, f, indent=1)


if __name__ == "__main__":
    main()
