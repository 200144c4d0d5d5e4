/*
 * The words of the list, in the reader's language, and what can be done with a server.
 */
import { INTERRUPTING } from '../ask.js';
import { loadWords } from '../language.js';
import * as english from '../locales/list.en.js';
import * as power from '../locales/power.en.js';
import { fill, merged } from '../words.js';

const { language, words } = await loadWords();
const table = merged(english, words.list);
const { actions, ...shared } = merged(power, words.power);
const sentences = { ...table.say, ...shared.say };

export const text = { ...table.text, ...shared.text };
export const { states: STATES } = table;

/** Sentences with values. */
export const say = Object.fromEntries(
    Object.keys(sentences).map((name) => [name, (values) => fill(sentences[name], values, language)]));

/** The sentence of a refusal, in the reader's language; other text stays unchanged. */
export const translated = (sentence) => (Object.hasOwn(words.causes ?? {}, sentence) ? words.causes[sentence] : sentence);

export const ACTIONS = [
    { name: 'start', states: ['SHUTOFF'], body: { 'os-start': null } },
    { name: 'resume', states: ['SUSPENDED'], body: { resume: null } },
    { name: 'unpause', states: ['PAUSED'], body: { unpause: null } },
    { name: 'stop', states: ['ACTIVE'], body: { 'os-stop': null } },
    { name: 'reboot', states: ['ACTIVE'], body: { reboot: { type: 'SOFT' } } },
    { name: 'reset', states: ['ACTIVE', 'PAUSED', 'ERROR'], body: { reboot: { type: 'HARD' } } },
    { name: 'pause', states: ['ACTIVE'], body: { pause: null } },
    { name: 'suspend', states: ['ACTIVE'], body: { suspend: null } },
].map((action) => ({ ...action, ...actions[action.name], ask: INTERRUPTING.includes(action.name) }));
