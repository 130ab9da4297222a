#!/usr/bin/env bash
# Checks a CUDA machine and prints the bench on it: driver, ONNX Runtime's CUDA provider, a probe graph, then every stage.
# Not run on a GPU yet.
#
#   infra/node/gpu-check.sh [--model <dir>] [--full]
#
# Needs Node 24 and `npm ci` (or node_modules brought along), the CUDA 12 runtime, cuBLAS and cuDNN 9. ORT_CUDA_LIBRARIES may
# name a folder with libonnxruntime_providers_cuda.so and libonnxruntime_providers_shared.so of the same ONNX Runtime version;
# they are linked beside the package's own library. Nothing is downloaded and no setting of the GPU is changed.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf '\n== %s\n' "$*"; }
stop() { printf 'gpu-check: %s\n' "$*" >&2; exit 3; }

say 'GPU and driver'
command -v nvidia-smi > /dev/null || stop 'nvidia-smi is not here: this is no machine with an NVIDIA driver.'
nvidia-smi --query-gpu=name,driver_version,memory.total,memory.free --format=csv || stop 'the driver does not answer: see nvidia-smi.'

say 'Node'
node=node_modules/.bin/node
[ -x "$node" ] || node=$(command -v node) || stop 'there is no Node: run npm ci, or put node 24 on the PATH.'
version=$("$node" -p 'process.versions.node.split(".")[0]')
[ "$version" -ge 24 ] || stop "Node $version is too old: Node 24 is needed."
"$node" -p 'process.version'

say "ONNX Runtime's CUDA provider"
libraries=$("$node" -p 'require("node:path").join(require("node:path").dirname(require.resolve("onnxruntime-node/package.json")), "bin/napi-v6", process.platform, process.arch)') \
  || stop 'onnxruntime-node is not installed: run npm ci.'
if [ -n "${ORT_CUDA_LIBRARIES:-}" ]; then
  for name in libonnxruntime_providers_shared.so libonnxruntime_providers_cuda.so libonnxruntime_providers_tensorrt.so; do
    [ ! -e "$ORT_CUDA_LIBRARIES/$name" ] || ln -sf "$(realpath "$ORT_CUDA_LIBRARIES/$name")" "$libraries/$name"
  done
fi
[ -e "$libraries/libonnxruntime_providers_cuda.so" ] || stop "libonnxruntime_providers_cuda.so is not in $libraries: take the one of the same version from the onnxruntime-linux-x64-gpu archive and name its folder in ORT_CUDA_LIBRARIES."
missing=$(ldd "$libraries/libonnxruntime_providers_cuda.so" | awk '/not found/ {print $1}' | grep -v '^libonnxruntime' || true)
[ -z "$missing" ] || stop "the provider lacks: $(echo $missing). Install the CUDA 12 runtime and cuDNN 9, or add their folders to LD_LIBRARY_PATH."
echo 'present, all its libraries are found'

cosyvoice=("$node" gpu-node/cli/main.ts)
model=()
bench=()
while [ $# -gt 0 ]; do
  case $1 in
    --model) model=(--model "${2:?--model needs a folder}"); shift 2 ;;
    --full) bench+=(--full); shift ;;
    *) stop "unknown option $1: there are --model <dir> and --full." ;;
  esac
done

say 'doctor'
"${cosyvoice[@]}" doctor --device cuda "${model[@]}" || stop 'doctor says that CUDA or the model would not work: see above.'

say 'one sentence'
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"${cosyvoice[@]}" speak --device cuda "${model[@]}" --seed 1 'Hello from the graphics card.' -o "$out/hello.wav" || stop 'the sentence was not spoken: see above.'

say 'bench'
"${cosyvoice[@]}" bench --device cuda --precision fp16 "${model[@]}" "${bench[@]}" --samples 3
