import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normalize } from '../../../shared/normalize/index.ts';
import { SSML_LIMITS } from '../../../shared/normalize/ssml.ts';

const read = (ssml: string, language: 'en' | 'zh' = 'en') => normalize(ssml, { inputType: 'ssml', language });

test('breaks, voices and prosody cut the text into segments with their delivery', () => {
  const { segments, text } = read('<speak>I have <prosody rate="slow" volume="+6dB">3 cats</prosody>.<break time="500ms"/><voice name="bob">Hi &amp; bye</voice></speak>');
  expect(segments.map((one) => one.text)).toEqual(['I have', 'three cats', '.', 'Hi and bye']);
  expect(segments[1]).toMatchObject({ rate: 0.75, volume: 10 ** (6 / 20) });
  expect(segments[2]).toMatchObject({ breakMs: 500 });
  expect(segments[3]).toMatchObject({ voice: 'bob' });
  for (const one of segments) expect(text.slice(one.start, one.start + one.text.length)).toBe(one.text);
});

test('sub, phoneme, say-as and emphasis decide their own words', () => {
  expect(read('<speak><sub alias="World Wide Web 2">W3C</sub> is <emphasis>5</emphasis> today</speak>').text).toBe('World Wide Web two is <strong>five</strong> today');
  expect(read('<speak>他是<phoneme alphabet="py" ph="hang2 zhang3">行长</phoneme></speak>', 'zh').spans[0]).toMatchObject({ class: 'pronunciation', source: '行长' });
  expect(read('<speak><say-as interpret-as="digits">1234</say-as> <say-as interpret-as="date" format="dmy">1/2/2024</say-as> <say-as interpret-as="characters">a1</say-as></speak>').text).toBe('one two three four February first, twenty twenty-four A one');
  expect(read('<speak>a <emphasis level="strong">5 km</emphasis> run</speak>').text).toBe('a <strong>five kilometers</strong> run');
});

test('lang sets the language of its words', () => {
  expect(read('<speak>You have <lang xml:lang="zh-CN">3</lang> and 3</speak>').text).toBe('You have 三 and three');
});

test('styles become instructions, marks keep their place, unknown elements are named in a warning', () => {
  const { segments, warnings } = read('<speak><emotion category="happy">Yes</emotion> 12 <mark name="here"/>now <foo>bar</foo></speak>');
  expect(segments[0]).toMatchObject({ text: 'Yes', instruction: 'happy' });
  expect(segments[1]).toMatchObject({ text: 'twelve now bar', marks: [{ name: 'here' }] });
  expect(warnings).toEqual(['Element <foo> is not supported and was ignored.']);
});

test('trace offsets point into the SSML source', () => {
  const source = '<speak>It is &lt; <b>5 kg</b> &#x26; 7</speak>';
  for (const span of read(source).spans) expect(source.slice(span.start, span.end)).toBe(span.source);
  expect(read(source).spans.map((span) => span.source)).toEqual(['&lt;', '5 kg', '&#x26;', '7']);
});

describe('what is not SSML is refused with one code, or read as text when asked', () => {
  test.each([
    ['an unclosed element', '<speak><p>5'],
    ['crossed elements', '<speak><p>5<s></p></s></speak>'],
    ['a document type', '<!DOCTYPE x [<!ENTITY a "b">]><speak>&a;</speak>'],
    ['an unknown entity', '<speak>&nbsp;</speak>'],
    ['a bare ampersand', '<speak>a & b</speak>'],
    ['nesting beyond the limit', '<p>'.repeat(SSML_LIMITS.depth + 1)],
    ['too many elements', '<break/>'.repeat(SSML_LIMITS.elements + 1)],
    ['foreign audio', '<speak><audio src="a.wav"/></speak>'],
    ['a broken attribute', '<speak><break time=5s/></speak>'],
    ['a character beyond Unicode', '<speak>&#x110000;</speak>'],
  ])('%s', (_, ssml) => {
    expect(() => read(ssml)).toThrow(expect.objectContaining({ code: 'ssml_invalid' }));
    const lenient = normalize(ssml, { inputType: 'ssml', onMalformed: 'text' });
    expect(lenient.warnings[0]).toMatch(/^Read as text/);
  });
});

test('any markup gives an answer or that one error, never a control token', () => {
  const piece = fc.constantFrom('<speak>', '</speak>', '<p>', '</p>', '<break time="1s"/>', '<sub alias="<|x|>">', '<sub alias="&lt;|x|&gt;">', '</sub>', '&lt;|', '|&gt;', '&#60;', '<', '>', '|', '5 kg', '"', "'", '<!--', '-->', '<![CDATA[', ']]>', '<emphasis>', '</emphasis>', '<say-as interpret-as="date">', '</say-as>', '1/2', '<lang xml:lang="ja">', '</lang>');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.constantFrom('error', 'text'), (pieces, onMalformed) => {
      try {
        const { text, segments } = normalize(pieces.join(''), { inputType: 'ssml', onMalformed });
        expect(text).not.toMatch(/<\||\|>/);
        for (const one of segments) expect(one.text).not.toMatch(/<\||\|>/);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ssml_invalid' });
      }
    }),
    { numRuns: 500 },
  );
});
