#!/usr/bin/env bash
# Checks a CUDA machine and prints the bench on it: driver, ONNX Runtime's CUDA provider, a probe graph, every stage against the
# recorded outputs of the official modules, one sentence, the bench as table and JSON. Not run on a GPU yet; `--device cpu --quick`
# rehearses all of it but the provider on a machine without one.
#
#   infra/node/gpu-check.sh [--device cuda|tensorrt|cpu] [--model <dir>] [--full] [--quick] [--fetch] [--json <path>]
#
# Needs Node 24 and `npm install` (or node_modules brought along), the CUDA 12 runtime, cuBLAS, cuFFT, cuRAND and cuDNN 9. Parts that are
# missing: ORT_CUDA_LIBRARIES may name a folder with libonnxruntime_providers_{cuda,shared}.so of the same ONNX Runtime version, which
# are linked beside the package's own library; with --fetch they come from NuGet (the package's own installer) and NVIDIA's libraries
# from pip into infra/node/.cuda. Without --fetch nothing is downloaded. No setting of the GPU is changed.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf '\n== %s\n' "$*"; }
stop() { printf 'gpu-check: %s\n' "$*" >&2; exit 3; }

device=cuda
model=()
bench=()
quick=
fetch=
json=
while [ $# -gt 0 ]; do
  case $1 in
    --device) device=${2:?--device needs cuda, tensorrt or cpu}; shift 2 ;;
    --model) model=(--model "${2:?--model needs a folder}"); shift 2 ;;
    --json) json=${2:?--json needs a path}; shift 2 ;;
    --full) bench+=(--full); shift ;;
    --quick) quick=--quick; shift ;;
    --fetch) fetch=1; shift ;;
    *) stop "unknown option $1: there are --device, --model <dir>, --full, --quick, --fetch and --json <path>." ;;
  esac
done
case $device in cpu | cuda | tensorrt) ;; *) stop "there is no device $device: choose cuda, tensorrt or cpu." ;; esac

if [ "$device" != cpu ]; then
  command -v nvidia-smi > /dev/null || stop 'CUDA is absent: nvidia-smi is not here, this is no machine with an NVIDIA driver (--device cpu --quick rehearses without one).'
  say 'GPU and driver'
  nvidia-smi --query-gpu=name,driver_version,memory.total,memory.free --format=csv || stop 'the driver does not answer: see nvidia-smi.'
fi

say 'Node'
node=$PWD/node_modules/.bin/node
[ -x "$node" ] || node=$(command -v node) || stop 'there is no Node: run npm install, or put node 24 on the PATH.'
version=$("$node" -p 'process.versions.node.split(".")[0]')
[ "$version" -ge 24 ] || stop "Node $version is too old: Node 24 is needed."
"$node" -p 'process.version'

# where NVIDIA's libraries and the provider come together
provider() {
  local package libraries missing cuda=$PWD/infra/node/.cuda
  package=$(dirname "$("$node" -p 'require.resolve("onnxruntime-node/package.json")')") || stop 'onnxruntime-node is not installed: run npm install.'
  libraries=$package/bin/napi-v6/$("$node" -p 'process.platform + "/" + process.arch')
  if [ -n "${ORT_CUDA_LIBRARIES:-}" ]; then
    for name in libonnxruntime_providers_shared.so libonnxruntime_providers_cuda.so libonnxruntime_providers_tensorrt.so; do
      [ ! -e "$ORT_CUDA_LIBRARIES/$name" ] || ln -sf "$(realpath "$ORT_CUDA_LIBRARIES/$name")" "$libraries/$name"
    done
  fi
  if [ ! -e "$libraries/libonnxruntime_providers_cuda.so" ] && [ -n "$fetch" ]; then
    (cd "$package" && env -u npm_config_onnxruntime_node_install "$node" script/install.js --onnxruntime-node-install=cuda12) || stop "the package's installer could not fetch the CUDA provider: name a folder in ORT_CUDA_LIBRARIES."
  fi
  [ -e "$libraries/libonnxruntime_providers_cuda.so" ] || stop "libonnxruntime_providers_cuda.so is not in $libraries: take the one of the same version from the onnxruntime-linux-x64-gpu archive and name its folder in ORT_CUDA_LIBRARIES, or use --fetch."
  missing() { ldd "$libraries/libonnxruntime_providers_cuda.so" | awk '/not found/ {print $1}' | grep -v '^libonnxruntime' || true; }
  if [ -n "$(missing)" ] && [ -n "$fetch" ]; then
    python3 -m pip install --quiet --target "$cuda" nvidia-cuda-runtime-cu12 nvidia-cublas-cu12 nvidia-cufft-cu12 nvidia-curand-cu12 nvidia-cudnn-cu12 nvidia-cuda-nvrtc-cu12 || stop "pip could not fetch NVIDIA's libraries: install the CUDA 12 runtime and cuDNN 9."
  fi
  [ ! -d "$cuda" ] || export LD_LIBRARY_PATH="$(printf '%s:' "$cuda"/nvidia/*/lib)${LD_LIBRARY_PATH:-}"
  [ -z "$(missing)" ] || stop "the provider lacks: $(echo $(missing)). Install the CUDA 12 runtime and cuDNN 9, add their folders to LD_LIBRARY_PATH, or use --fetch."
  echo 'present, all its libraries are found'
}
if [ "$device" != cpu ]; then
  say "ONNX Runtime's CUDA provider"
  provider
fi

cosyvoice=("$node" gpu-node/cli/main.ts)
say 'doctor'
"${cosyvoice[@]}" doctor --device "$device" "${model[@]}" || stop "doctor says that $device or the model would not work: see above."

say 'every stage against the official modules, and several steps in one run against one'
# the log tells of graphs that copy between device and host
NVIDIA_TF32_OVERRIDE=0 COSYVOICE_ORT_LOG=warning "$node" infra/node/compare.ts "$device" $quick || stop 'a stage differs or fails: see above.'

say 'one sentence'
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"${cosyvoice[@]}" speak --device "$device" "${model[@]}" --seed 1 'Hello from the graphics card.' -o "$out/hello.wav" || stop 'the sentence was not spoken: see above.'

say 'bench'
[ -z "$quick" ] || bench=(llm flow vocoder whole --bundled --samples 1)
[ -n "$quick" ] || bench+=(--samples 3)
"${cosyvoice[@]}" bench --device "$device" "${model[@]}" "${bench[@]}" --json "${json:-$out/bench.json}"
[ -n "$json" ] || cat "$out/bench.json"
