/*
 * The words of the list, in the reader's language, and what can be done with a server.
 */
import { loadWords } from '../language.js';
import * as english from '../locales/list.en.js';
import { fill, merged } from '../words.js';

const { language, words } = await loadWords();
const table = merged(english, words.list);

export const { text, states: STATES } = table;

/** Sentences with values. */
export const say = Object.fromEntries(
    Object.keys(table.say).map((name) => [name, (values) => fill(table.say[name], values, language)]));

/** The sentence of a refusal, in the reader's language; other text stays unchanged. */
export const translated = (sentence) => (Object.hasOwn(words.causes ?? {}, sentence) ? words.causes[sentence] : sentence);

export const ACTIONS = [
    { name: 'start', states: ['SHUTOFF'], body: { 'os-start': null } },
    { name: 'resume', states: ['SUSPENDED'], body: { resume: null } },
    { name: 'unpause', states: ['PAUSED'], body: { unpause: null } },
    { name: 'stop', states: ['ACTIVE'], body: { 'os-stop': null }, ask: true },
    { name: 'reboot', states: ['ACTIVE'], body: { reboot: { type: 'SOFT' } }, ask: true },
    { name: 'reset', states: ['ACTIVE', 'PAUSED', 'ERROR'], body: { reboot: { type: 'HARD' } }, ask: true },
    { name: 'pause', states: ['ACTIVE'], body: { pause: null }, ask: true },
    { name: 'suspend', states: ['ACTIVE'], body: { suspend: null }, ask: true },
].map((action) => ({ ...action, ...table.actions[action.name] }));
