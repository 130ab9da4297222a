/** The `cosyvoice` command. Each subcommand is one file; errors are one line, and the exit code says whose fault it was. */
import { Command, Option } from 'commander';
import { ERRORS, isCosyError } from '../../shared/errors/index.ts';
import { AUDIO_FORMATS } from '../../shared/limits/index.ts';
import { MODES } from '../../shared/contract/job.ts';
import { keepPrograms } from './programs.ts';
import { outputLost, say } from './terminal.ts';

const program = new Command('cosyvoice')
  .description('Speech from CosyVoice2 checkpoints, without Python.')
  .configureHelp({ sortSubcommands: false })
  // one line, as every error
  .configureOutput({ outputError: (text, write) => write(`cosyvoice: ${text.trim().replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ')} (cosyvoice --help shows what there is)\n`) })
  // what the user wrote is at fault: the same exit code as every other wrong input
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));

function withModel(command: Command): Command {
  return command.option('--model <dir>', 'checkpoint directory in the official layout (default: the bundled voice)');
}

function withCache(command: Command): Command {
  return withModel(command).option('--cache <dir>', 'where converted graphs are kept');
}

/** For commands that write or read converted graphs. */
function withGraphs(command: Command): Command {
  return withCache(command)
    .addOption(new Option('--precision <name>', 'weights of language model and flow (default: the fastest that stays within the stated distance)').choices(['fp32', 'fp16', 'int8', 'int4']));
}

/** For commands that run something on a device. */
function withDevice(command: Command): Command {
  return command
    .addOption(new Option('--device <name>', 'execution provider').choices(['cpu', 'cuda', 'tensorrt']).default('cpu'))
    .option('--threads <n>', 'threads per operator (default: one per core)', wholeNumber);
}

withDevice(withGraphs(program.command('speak')))
  .description('speak text into an audio file')
  .argument('[text...]', 'what to say; "-" or nothing with piped input reads standard input')
  .option('--file <path>', 'read the text from a file')
  .option('--lines <path>', 'speak each line of a file into its own file in --out-dir')
  .option('--out-dir <dir>', 'folder for --lines', 'speech')
  .option('-o, --output <path>', 'audio file; its extension chooses the format (default: speech.wav)')
  .addOption(new Option('--format <name>', 'audio format (default: what the extension says, or wav)').choices(AUDIO_FORMATS))
  .option('--voice <name>', 'a speaker of the checkpoint (see `cosyvoice voices`)')
  .option('--prompt-audio <path>', 'a clip of 1 to 30 s to imitate')
  .option('--prompt-text <text>', 'what is said in the clip (absent: cross-lingual)')
  .option('--instruct <text>', 'how to say it')
  .option('--source-audio <path>', 'voice conversion: say this recording in the chosen voice')
  .addOption(new Option('--mode <name>', 'default: follows from the other options').choices([...MODES, 'convert']))
  .option('--language <tag>', 'zh, en, ja, ko: how numbers and mixed text are read')
  .option('--speed <x>', '0.5 to 2', decimal, 1)
  .option('--volume <x>', '0 to 2', decimal, 1)
  .option('--seed <n>', 'same seed, same speech', wholeNumber)
  .option('--steps <n>', 'Euler steps of the flow', wholeNumber)
  .option('--rate <hz>', 'sample rate of the file', wholeNumber)
  .option('--stream', 'make the sound in blocks, as the server does')
  .option('--raw', 'speak the text as it is written, without normalization')
  .addHelpText(
    'after',
    `
Examples:
  cosyvoice speak "Hello, and welcome."
  cosyvoice speak --voice zf_xiaoxiao "你好，欢迎。" -o hello.mp3
  cosyvoice speak --prompt-audio me.wav --prompt-text "What I say in the clip." "Now in my voice."
  cosyvoice speak --model CosyVoice2-0.5B --instruct "用四川话说" --prompt-audio me.wav "今天天气真好。"
  cosyvoice speak --source-audio talk.wav --voice af_heart -o converted.wav
  cosyvoice speak --lines sentences.txt --out-dir clips
  echo "From a pipe." | cosyvoice speak -o - --format wav | aplay
  some-llm | cosyvoice speak - --stream -o - --format wav | aplay     (speaks while the text still comes)`,
  )
  .action(run(async () => (await import('./speak.ts')).speakCommand));

withModel(program.command('voices')).description('list the speakers of a checkpoint').action(run(async () => (await import('./voices.ts')).voicesCommand));

withGraphs(program.command('convert')).description('write the ONNX graphs of a checkpoint into the cache').action(run(async () => (await import('./convert.ts')).convertCommand));

program
  .command('pull')
  .description('download the official checkpoint')
  .argument('[dir]', 'target directory', 'CosyVoice2-0.5B')
  .option('--from <source>', 'huggingface, modelscope, or a base URL that holds the files', 'huggingface')
  .action(run(async () => (await import('./pull.ts')).pullCommand));

program
  .command('normalize')
  .description('written text to speakable text, line by line from standard input or arguments')
  .argument('[text...]')
  .option('--lang <tag>', 'zh, en, ja or ko (default: by script and context)')
  .option('--trace', 'print what was read how, as JSON')
  .option('--batch', 'lines of lang<TAB>text in, lines of lang<TAB>text<TAB>spoken out')
  .action(run(async () => (await import('./normalize.ts')).normalizeCommand));

program
  .command('parity')
  .description('compare every stage with the recorded outputs of the official modules')
  .argument('<dir>', 'folder with checkpoint/ and cases/')
  .option('--json', 'print JSON')
  .option('--only <text>', 'only cases whose name contains this')
  .action(run(async () => (await import('./parity.ts')).parityCommand));

withDevice(withGraphs(program.command('bench')))
  .description('measure every stage; prints a table and JSON, and never judges')
  .argument('[what...]', 'all, llm, flow, vocoder, whole, start, stream', ['all'])
  .option('--bundled', 'only the bundled voice')
  .option('--full', 'only the full-size model with random weights')
  .option('--samples <n>', 'runs of each measurement', wholeNumber, 5)
  .option('--json <path>', 'write JSON there (default: print it)')
  .option('--official <dir>', 'checkout of the official PyTorch code, measured side by side')
  .option('--python <path>', 'Python that can run the official code', 'python3')
  .action(run(async () => (await import('./bench.ts')).benchCommand));

program
  .command('backup')
  .description('copy the data of `serve`, whole, also while it runs')
  .argument('<dir>', 'a new folder')
  .option('--data <dir>', 'the data directory (default: .data)')
  .action(run(async () => (await import('./backup.ts')).backupCommand));

withDevice(withCache(program.command('doctor'))).description('what is installed, which providers load, what would be used').action(run(async () => (await import('./doctor.ts')).doctorCommand));

withDevice(withGraphs(program.command('serve')))
  .description('node and edge on this machine')
  .option('--port <n>', 'port of the edge', wholeNumber, 8787)
  .option('--node-port <n>', 'port of the node', wholeNumber, 8788)
  .option('--host <address>', 'address to listen on', '127.0.0.1')
  .option('--no-edge', 'only the node')
  .option('--data <dir>', 'where keys, voices and usage are kept (default: .data)')
  .option('--new-key', 'make another API key and print it')
  .option('--register <urls>', 'edges elsewhere that shall send jobs here, separated by commas')
  .option('--public-url <url>', 'address under which those edges reach this node')
  .option('--region <name>', 'where this machine stands, for edges to choose by')
  .option('--name <text>', 'name of this node in lists')
  .action(run(async () => (await import('./serve.ts')).serveCommand));

await program.parseAsync();

type Action = (options: Record<string, unknown>, args: readonly (readonly string[])[]) => Promise<number>;

/** Loads a command when it is chosen, so that `--help` loads nothing; turns failures into one line and an exit code. */
function run(load: () => Promise<Action>): (...all: unknown[]) => Promise<void> {
  return async (...all) => {
    const command = all.at(-1) as Command;
    const args = command.processedArgs.map((value: unknown) => (Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)]));
    try {
      keepPrograms(command.opts());
      process.exitCode = await (await load())(command.opts(), args);
      // what was printed last may still be on its way
      await new Promise((resolve) => setImmediate(resolve));
      outputLost.throwIfAborted();
    } catch (failure) {
      const error: unknown = outputLost.aborted ? outputLost.reason : failure;
      if (!isCosyError(error) && process.env['COSYVOICE_DEBUG']) throw error;
      const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
      if (message !== '') say(`cosyvoice: ${message}`);
      process.exitCode = isCosyError(error) ? ERRORS[error.code].exit : 1;
    }
  };
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) program.error(`${JSON.stringify(text)} is not a whole number`, { exitCode: 2 });
  return value;
}

function decimal(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) program.error(`${JSON.stringify(text)} is not a number`, { exitCode: 2 });
  return value;
}
