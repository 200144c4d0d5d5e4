/*
 * Every text of the console page, in the reader's language.  The texts are in locales/.
 */
import { loadWords } from './language.js';
import * as english from './locales/en.js';
import * as power from './locales/power.en.js';
import { fill, merged } from './words.js';

/* Modules that use the texts wait for this.  English is part of the script, and costs no request. */
const { language, words } = await loadWords();
const table = merged(english, words.page);
const shared = merged(power, words.power);
const sentences = { ...table.say, ...shared.say };

export { language };
export const { sysrq, keys, refusals, lost } = table;
export const text = { ...table.text, ...shared.text };
export const { actions } = shared;

/** Sentences with values: `say.countdown({ seconds: 5 })`. */
export const say = Object.fromEntries(
    Object.keys(sentences).map((name) => [name, (values) => fill(sentences[name], values, language)]));

/** The sentence of a refusal, as the proxy sends it, in the reader's language; other text stays unchanged. */
export const translated = (sentence) => (Object.hasOwn(words.causes ?? {}, sentence) ? words.causes[sentence] : sentence);
