/**
 * ONNX Runtime 1.30 reports its use to Microsoft and keeps a device number in the home folder unless this variable is set
 * before its first session. A worker thread has only a copy of the environment, so the main thread says it before it starts one.
 */
export function refuseTelemetry(): void {
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
}
