/** The command line with the bundled voice, as a stranger would try it. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { goldenDirectory } from '../golden/index.ts';
import { cosyvoice, piped, scratch } from './command.ts';
import { loudest, readSound } from './sound.ts';

const cwd = scratch();

describe('cosyvoice speak', () => {
  it('writes audible speech into speech.wav and says where it is and how long it took', async () => {
    const { code, err } = await cosyvoice(['speak', 'Hello, and welcome.', '--seed', '1'], { cwd });
    expect(err).toMatch(/speech\.wav: \d\.\d s of speech in [\d.]+ s \(real-time factor [\d.]+, seed 1\)/);
    expect(code).toBe(0);
    const sound = readSound(join(cwd, 'speech.wav'));
    expect(sound.sampleRateHz).toBe(24000);
    expect(sound.seconds).toBeGreaterThan(0.5);
    expect(sound.seconds).toBeLessThan(6);
    expect(loudest(sound)).toBeGreaterThan(0.02);
  });

  it('says the same with the same seed, sample for sample', async () => {
    await cosyvoice(['speak', 'The same again.', '--seed', '7', '-o', 'a.wav'], { cwd });
    await cosyvoice(['speak', 'The same again.', '--seed', '7', '-o', 'b.wav'], { cwd });
    expect(readFileSync(join(cwd, 'a.wav')).equals(readFileSync(join(cwd, 'b.wav')))).toBe(true);
  });

  it('speaks Mandarin, at another speed, into another format', async () => {
    const { code, err } = await cosyvoice(['speak', '你好，今天是2024年3月5日。', '--speed', '1.5', '-o', 'zh.mp3'], { cwd });
    expect(err).toContain('zh.mp3');
    expect(code).toBe(0);
    expect(readFileSync(join(cwd, 'zh.mp3')).length).toBeGreaterThan(2000);
  });

  it('follows an instruction about speed, and reads numbers in the language it asks for', async () => {
    for (const [name, args] of Object.entries({ plain: [], slow: ['--instruct', 'very slowly'], chinese: ['--instruct', '用中文说'] })) {
      const { code, err } = await cosyvoice(['speak', '7, 8, 9.', '--seed', '3', ...args, '-o', `${name}.wav`], { cwd });
      expect([name, code, err]).toEqual([name, 0, expect.stringContaining(`${name}.wav`)]);
    }
    const { seconds } = readSound(join(cwd, 'plain.wav'));
    const longer = readSound(join(cwd, 'slow.wav')).seconds / seconds;
    expect([longer > 1.35, longer < 1.75, longer]).toEqual([true, true, longer]);
    expect(readFileSync(join(cwd, 'chinese.wav')).equals(readFileSync(join(cwd, 'plain.wav')))).toBe(false);
  });

  it('speaks each line of a file into its own file, in order', async () => {
    writeFileSync(join(cwd, 'lines.txt'), 'One.\n\nThree.\n');
    const { code } = await cosyvoice(['speak', '--lines', 'lines.txt', '--out-dir', 'out'], { cwd });
    expect(code).toBe(0);
    expect(readdirSync(join(cwd, 'out')).toSorted()).toEqual(['0001.wav', '0003.wav']);
  });

  it('reads standard input and writes to standard output', async () => {
    const { code, out, err } = await cosyvoice(['speak', '-', '-o', '-', '--format', 'pcm'], { cwd, input: 'From a pipe.' });
    expect(err).not.toContain('cosyvoice:');
    expect(code).toBe(0);
    expect(out.length).toBeGreaterThan(5000);
  });

  it('speaks standard input while it still flows', async () => {
    const { input, sound, ended } = piped(['speak', '-', '--stream', '-o', '-', '--format', 'pcm'], { cwd });
    input.write('Good morning to all of you. And this is');
    // the second sentence has not ended, and nobody said that the text has
    for (let heard = 0; heard < 10_000; ) {
      const { value, done } = await sound.next();
      expect(done).toBe(false);
      heard += (value as Buffer).length;
    }
    expect(input.writable).toBe(true);
    input.end(' the end of it.');
    let rest = 0;
    for await (const bytes of sound) rest += bytes.length;
    expect(rest).toBeGreaterThan(10_000);
    expect(await ended).toEqual({ code: 0, err: expect.not.stringContaining('cosyvoice:') });
  });

  it('clones a clip, with and without its transcript, converts a recording, and speaks in blocks', async () => {
    await cosyvoice(['speak', 'This is the voice to imitate, and it speaks for a few seconds.', '-o', 'clip.wav', '--seed', '2'], { cwd });
    const clip = ['--prompt-audio', 'clip.wav'];
    for (const [name, args] of Object.entries({
      'zero-shot': ['Now in that voice.', ...clip, '--prompt-text', 'This is the voice to imitate, and it speaks for a few seconds.'],
      'cross-lingual': ['你好。', ...clip],
      convert: ['--source-audio', 'clip.wav'],
      streamed: ['This one is made in blocks.', '--stream'],
    })) {
      const { code, err } = await cosyvoice(['speak', ...args, '-o', `${name}.wav`], { cwd });
      expect([name, code, err]).toEqual([name, 0, expect.stringContaining(`${name}.wav`)]);
      expect(readSound(join(cwd, `${name}.wav`)).seconds).toBeGreaterThan(0.3);
    }
  });
});

describe('a checkpoint in the official layout with the official tokenizer', () => {
  it('speaks in every mode', async () => {
    await cosyvoice(['speak', 'This is the voice to imitate, and it speaks for a few seconds.', '-o', 'clip.wav', '--seed', '2'], { cwd });
    const model = ['--model', join(goldenDirectory, 'checkpoint')];
    const clip = ['--prompt-audio', 'clip.wav'];
    for (const [name, args] of Object.entries({
      sft: ['你好。', '--voice', 'sft_demo'],
      'stored zero-shot': ['你好。', '--voice', 'zs_demo'],
      'zero-shot': ['你好。', ...clip, '--prompt-text', 'This is the voice.'],
      'cross-lingual': ['Hello [laughter] there.', ...clip],
      instruct: ['今天天气真好。', ...clip, '--instruct', '用四川话说这句话'],
      convert: ['--source-audio', 'clip.wav', ...clip],
    })) {
      const { code, err } = await cosyvoice(['speak', ...args, ...model, '-o', `${name}.wav`], { cwd });
      expect([name, code, err]).toEqual([name, 0, expect.stringContaining(`${name}.wav`)]);
    }
  });
});

describe('bad input: one line, an exit code, nothing left behind', () => {
  it.each([
    ['empty text', ['speak', ''], 2, /nothing/],
    ['only symbols', ['speak', '…!?'], 2, /nothing that can be spoken/],
    ['a voice that does not exist', ['speak', 'hi', '--voice', 'nobody'], 2, /no voice "nobody"/],
    ['a prompt that is no audio', ['speak', 'hi', '--prompt-audio', 'lines.txt'], 2, /audio/],
    ['a prompt that is not there', ['speak', 'hi', '--prompt-audio', 'none.wav'], 2, /none\.wav cannot be read/],
    ['an unknown format', ['speak', 'hi', '-o', 'x.xyz'], 2, /format/],
    ['a folder that is not there', ['speak', 'hi', '-o', 'no/such/x.wav'], 2, /cannot be written/],
    ['a speed out of range', ['speak', 'hi', '--speed', '9'], 2, /--speed/],
    ['a speed that is no number', ['speak', 'hi', '--speed', 'fast'], 2, /not a number/],
    ['a language that nobody speaks', ['speak', 'hi', '--language', 'klingon'], 2, /^cosyvoice: There is no language "klingon" here: --language takes zh, en, ja, ko or auto\.$/m],
    ['an option that doctor would not use', ['doctor', '--precision', 'int8'], 2, /unknown option '--precision'/],
    ['an unknown option', ['speak', 'hi', '--nonsense'], 2, /unknown option/],
    ['a model that is not there', ['speak', 'hi', '--model', 'nowhere'], 3, /nowhere/],
    ['a device that is not there', ['speak', 'hi', '--device', 'cuda'], 3, /cuda provider cannot be loaded/],
    ['text in a language the voice does not know', ['speak', 'こんにちは、元気ですか。'], 2, /speaks English and Mandarin only/],
    ['an instruction that the voice cannot follow', ['speak', 'hi', '--instruct', 'sadly'], 2, /speed and language only/],
  ])('%s', async (_, args, exit, message) => {
    writeFileSync(join(cwd, 'lines.txt'), 'One.\n\nThree.\n');
    const before = readdirSync(cwd).toSorted();
    const { code, err, out } = await cosyvoice(args, { cwd });
    expect(err).toMatch(message);
    expect(err.trim().split('\n').filter((line) => line.startsWith('cosyvoice:') || line.startsWith('error:'))).toHaveLength(1);
    expect(code).toBe(exit);
    expect(out).toBe('');
    expect(readdirSync(cwd).toSorted()).toEqual(before);
  });

  it('100,000 characters are refused before anything is loaded', async () => {
    const { code, err } = await cosyvoice(['speak', '-'], { cwd, input: 'word '.repeat(20_000) });
    expect(err).toMatch(/100000 characters; the limit is/);
    expect(code).toBe(2);
  });

  it('a lone surrogate and control characters are spoken around', async () => {
    writeFileSync(join(cwd, 'odd.txt'), Buffer.from('Hello \u{1f600}\u0007 there.', 'utf8'));
    expect((await cosyvoice(['speak', '--file', 'odd.txt', '-o', 'odd.wav'], { cwd })).code).toBe(0);
    expect(existsSync(join(cwd, 'odd.wav'))).toBe(true);
  });
});
