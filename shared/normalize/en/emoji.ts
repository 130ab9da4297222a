/** Names of the emoji people use most; any other is dropped. One line per group: emoji=name, several may share a name. */
import { cardinal } from './number.ts';

const GROUPS = [
  '😀=grinning face|😃=smiling face|😄=smiling face|😁=beaming face|😆=laughing face|😅=nervous laugh|🤣=rolling on the floor laughing|😂=tears of joy|🙂=slight smile|🙃=upside-down face|😉=wink|😊=smiling face|😇=halo',
  '🥰=smiling face with hearts|😍=heart eyes|🤩=star-struck|😘=blowing a kiss|😗=kiss|😋=yummy|😛=tongue out|😜=winking tongue out|🤪=zany face|🤑=money face|🤗=hug|🤭=giggle|🤫=shush|🤔=thinking|😐=neutral face|😑=expressionless',
  '😶=speechless|😏=smirk|😒=unamused|🙄=eye roll|😬=grimace|😌=relieved|😔=pensive|😪=sleepy|😴=sleeping|😷=mask|🤒=sick|🤢=nauseated|🤮=vomiting|🥵=hot face|🥶=cold face|😵=dizzy|🤯=mind blown|🤠=cowboy|🥳=party face|😎=cool',
  '🤓=nerd|😕=confused|😟=worried|🙁=frown|😮=surprised|😲=astonished|😳=flushed|🥺=pleading|😨=fearful|😰=anxious|😥=sad but relieved|😢=crying|😭=loudly crying|😱=screaming|😖=confounded|😞=disappointed|😩=weary|😫=tired|🥱=yawn|😤=huffing|😡=pouting|😠=angry|🤬=swearing',
  '😈=devil smile|💀=skull|💩=poop|🤡=clown|👻=ghost|👽=alien|🤖=robot|🙈=see no evil|🙉=hear no evil|🙊=speak no evil|💋=kiss mark|❤=red heart|🧡=orange heart|💛=yellow heart|💚=green heart|💙=blue heart|💜=purple heart|🖤=black heart|💔=broken heart|💕=two hearts|💖=sparkling heart|💯=one hundred points|💥=boom|💤=sleeping',
  '👋=waving hand|✋=raised hand|👌=okay hand|✌=victory hand|🤞=fingers crossed|🤘=rock on|🤙=call me|👈=pointing left|👉=pointing right|👆=pointing up|👇=pointing down|👍=thumbs up|👎=thumbs down|✊=raised fist|👊=fist bump|👏=clapping|🙌=raising hands|🙏=folded hands|🤝=handshake|💪=flexed biceps|👀=eyes',
  '👶=baby|👧=girl|👦=boy|👩=woman|👨=man|👪=family|🤷=shrug|🤦=facepalm|🐶=dog|🐱=cat|🐭=mouse|🐰=rabbit|🦊=fox|🐻=bear|🐼=panda|🐯=tiger|🦁=lion|🐮=cow|🐷=pig|🐸=frog|🐵=monkey|🐔=chicken|🐧=penguin|🐦=bird|🦄=unicorn|🐝=bee|🦋=butterfly|🐍=snake|🐢=turtle|🐟=fish|🐬=dolphin|🐳=whale',
  '🌸=cherry blossom|🌹=rose|🌻=sunflower|🌲=tree|🌵=cactus|🍀=four-leaf clover|🍁=maple leaf|🍎=apple|🍊=orange|🍋=lemon|🍌=banana|🍉=watermelon|🍇=grapes|🍓=strawberry|🍒=cherries|🍑=peach|🍅=tomato|🌽=corn|🍞=bread|🧀=cheese|🍔=burger|🍟=fries|🍕=pizza|🌮=taco|🍣=sushi|🍜=noodles|🍦=ice cream|🍩=doughnut|🍪=cookie|🎂=birthday cake|🍫=chocolate|☕=coffee|🍵=tea|🍷=wine|🍺=beer|🍻=cheers',
  '🌍=globe|🏠=house|🏥=hospital|🏫=school|🚗=car|🚌=bus|🚆=train|✈=airplane|🚀=rocket|🚲=bicycle|⛵=sailboat|⏰=alarm clock|⌚=watch|🌙=moon|☀=sun|⭐=star|🌟=glowing star|☁=cloud|🌈=rainbow|☔=umbrella|❄=snowflake|⛄=snowman|🔥=fire|💧=droplet|🌊=wave|🎃=pumpkin|🎄=Christmas tree|🎉=party popper|🎊=confetti|🎈=balloon|🎁=gift|🏆=trophy|🥇=gold medal|⚽=soccer ball|🏀=basketball|🎮=video game|🎵=music note|🎶=music notes|🎤=microphone|🎧=headphones|🎸=guitar',
  '📱=phone|💻=laptop|📷=camera|📺=television|💡=light bulb|📚=books|📖=book|✏=pencil|📝=memo|📅=calendar|📌=pin|📎=paper clip|🔒=lock|🔑=key|🔨=hammer|💰=money bag|💵=dollar bill|💳=credit card|✉=envelope|📧=e-mail|📦=package|⚠=warning|🚫=prohibited|✅=check mark|❌=cross mark|❓=question mark|❗=exclamation mark|➕=plus|➖=minus|🔔=bell|📢=loudspeaker|💬=speech bubble|🏁=checkered flag|✨=sparkles|♻=recycling',
];

const NAMES = new Map(GROUPS.flatMap((group) => group.split('|').map((pair) => pair.split('=') as [string, string])));

/** Name of an emoji sequence; skin tone and variation are ignored, flags are said as "flag", keycaps as their digit's word. */
export function emojiName(sequence: string): string | undefined {
  const plain = sequence.replaceAll('\ufe0f', '').replaceAll(/\p{EMod}/gu, '');
  const key = /^([0-9])\u20e3$/.exec(plain);
  if (key !== null) return cardinal(key[1] ?? '');
  return NAMES.get(plain) ?? NAMES.get(plain.split('\u200d')[0] ?? '') ?? (/^\p{RI}{2}$/u.test(plain) ? 'flag' : undefined);
}
