"""Intelligibility and voice similarity on the held-out sentences.

stages: teacher = teacher audio, vocoder = HiFT on the teacher's mel, encoder = codes from the teacher's alignment -> flow encoder -> HiFT (diagnosis), tokens = codes from the teacher's alignment -> flow -> HiFT,
tokenizer = codes found in the teacher audio by the ONNX speech tokenizer -> flow -> HiFT, text = text -> LM -> flow -> HiFT. Error rates: words for English, characters for Mandarin, by Whisper base (CTranslate2, int8, beam 5).
"""
import argparse
import json
import os
import re

import numpy as np
import torch

import codes
import data
from make_text import num, znum


def norm_en(s):
    s = s.lower().replace("%", " percent").replace("$", " dollars ").replace("-", " ")
    s = re.sub(r"(\d+):(\d\d)", lambda m: num(int(m[1])) + " " + num(int(m[2])), s)
    s = re.sub(r"\d+", lambda m: " " + num(int(m[0])) + " ", s)
    return [w for w in re.sub(r"[^a-z' ]", " ", s).split()]


def norm_zh(s):
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


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--held", required=True)
    ap.add_argument("--model", required=True)
    ap.add_argument("--whisper", required=True)
    ap.add_argument("--stages", nargs="+", default=["teacher", "vocoder", "tokens", "text"])
    ap.add_argument("--wav-out")
    ap.add_argument("--limit", type=int, default=1000)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--similarity", action="store_true")
    ap.add_argument("--temperature", type=float, default=1.0)
    ap.add_argument("--guidance", type=float)
    ap.add_argument("--show", action="store_true")
    a = ap.parse_args()
    import soundfile as sf
    from faster_whisper import WhisperModel
    torch.set_num_threads(a.threads)
    utts = [data.features(x, w) for x, w in data.utterances(a.held)]
    utts = codes.assign(utts, json.load(open(os.path.join(a.model, "pitch.json"))) if os.path.exists(os.path.join(a.model, "pitch.json")) else data.f0_stats(utts))
    en, zh = [u for u in utts if u["lang"] == "en"][: a.limit], [u for u in utts if u["lang"] == "zh"][: a.limit]
    asr = WhisperModel(a.whisper, device="cpu", compute_type="int8", cpu_threads=a.threads)
    voice = None
    if a.stages != ["teacher"]:
        from infer import Voice
        voice = Voice(a.model, a.threads, a.temperature, a.guidance)
    if "tokenizer" in a.stages:
        import onnxruntime as ort
        tok = ort.InferenceSession(os.path.join(a.model, "speech_tokenizer_v2.onnx"), providers=["CPUExecutionProvider"])
    enc = None
    if a.similarity:
        from resemblyzer import VoiceEncoder
        enc = VoiceEncoder("cpu", verbose=False)
    out = {}
    for st in a.stages:
        res = {}
        for lang, group in (("en", en), ("zh", zh)):
            e = n = 0
            sims, secs = [], []
            for u in group:
                ref = u["wav"].float().numpy() / 32767
                if st == "teacher":
                    w = ref
                elif st == "vocoder":
                    w = voice.wav(u["mel"].float()[None])
                elif st == "tokens":
                    w = voice.wav(voice.mel(u["speech"], u["voice"]))
                elif st == "encoder":
                    w = voice.wav(voice.encoder_mel(u["speech"]))
                elif st == "tokenizer":
                    f = u["whisper"].float()[None].numpy()
                    t = tok.run(None, {"feats": f, "feats_length": np.array([f.shape[2]], np.int32)})[0].flatten()
                    w = voice.wav(voice.mel(t, u["voice"]))
                else:
                    t = voice.tokens(u["text"], seed=1)
                    w = voice.wav(voice.mel(t if len(t) else [0], u["voice"])) if len(t) else np.zeros(4800, np.float32)
                secs.append(len(w) / 24000)
                w16 = data.resample16(torch.from_numpy(np.ascontiguousarray(w))).numpy()
                seg, _ = asr.transcribe(w16, language=lang, beam_size=5, initial_prompt="以下是普通话的句子。" if lang == "zh" else None,
                                        condition_on_previous_text=False, temperature=0.0)
                hyp = "".join(s.text for s in seg)
                r, h = (norm_zh(u["raw"]), norm_zh(hyp)) if lang == "zh" else (norm_en(u["raw"]), norm_en(hyp))
                d = min(distance(r, h), len(r)) if st == "text" else distance(r, h)
                e += d; n += len(r)
                if enc is not None:
                    r16 = data.resample16(torch.from_numpy(ref)).numpy()
                    sims.append(float(np.dot(enc.embed_utterance(w16), enc.embed_utterance(r16))))
                if a.show:
                    print(f"  {st} {u['id']} {u['voice']} {len(w)/24000:.1f}s {d}/{len(r)} | {u['raw']} | {hyp}", flush=True)
                if a.wav_out:
                    os.makedirs(a.wav_out, exist_ok=True)
                    sf.write(os.path.join(a.wav_out, f"{st}_{u['id']}.wav"), w, 24000)
            if n:
                res[lang] = dict(error=round(100 * e / n, 1), units=n, seconds=round(sum(secs), 1))
                if sims:
                    res[lang]["similarity"] = round(float(np.mean(sims)), 3)
        out[st] = res
        print(st, json.dumps(res), flush=True)


if __name__ == "__main__":
    main()
