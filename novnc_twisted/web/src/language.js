/*
 * The language of the page: the one that the operator has fixed, or that of the address, of the last choice, of the
 * operator's default, or of the browser; otherwise English.
 */
import { languageOf } from './location.js';
import { remember } from './memory.js';
import { setting } from './site.js';

/* Language -> file beside the script.  build.js puts it here; without a build there is English only. */
const FILES = typeof LANGUAGES === 'undefined' ? {} : LANGUAGES;
const KEY = 'language';
const TEXTS_TIMEOUT = 5000; // ms to wait for the texts before the page begins in English
const RIGHT_TO_LEFT = ['ar', 'fa', 'he', 'ur'];
const TRADITIONAL = /^zh-(hant|tw|hk|mo)\b/i; // their readers cannot easily read zh-CN

/** Every language that the page has. */
export const available = ['en', ...Object.keys(FILES)];

/** The first of the wanted languages that the page has, by whole name, and then by language alone; or undefined.  Pure. */
export function choose(wanted, offered) {
    for (const tag of wanted.map((each) => String(each).toLowerCase())) {
        const whole = offered.find((each) => each.toLowerCase() === tag);
        const [base] = tag.split('-');
        const found = whole ?? (TRADITIONAL.test(tag) ? undefined
            : offered.find((each) => each.toLowerCase() === base) ?? offered.find((each) => each.toLowerCase().startsWith(`${base}-`)));
        if (found) {
            return found;
        }
    }
    return undefined;
}

/** Remember the language for the next time. */
export function rememberLanguage(language) {
    remember(KEY, language);
}

/** The language and its texts: `{language, words}`.  The document gets its `lang` and `dir`. */
export async function loadWords() {
    if (typeof document === 'undefined') {
        return { language: 'en', words: {} }; // in tests without a browser
    }
    const asked = choose([languageOf(location.href)].filter(Boolean), available);
    if (asked) {
        rememberLanguage(asked);
    }
    const wanted = choose([setting(KEY, asked), ...navigator.languages].filter(Boolean), available) ?? 'en';
    const words = wanted === 'en' ? {} : await load(FILES[wanted]);
    const language = words ? wanted : 'en';
    document.documentElement.lang = language;
    document.documentElement.dir = RIGHT_TO_LEFT.includes(language.split('-')[0]) ? 'rtl' : 'ltr';
    return { language, words: words ?? {} };
}

/* null: the file did not come, so the page stays in English. */
async function load(file) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), TEXTS_TIMEOUT);
    try {
        const response = await fetch(new URL(file, import.meta.url), { signal: abort.signal });
        return response.ok ? await response.json() : null;
    } catch {
        return null;
    } finally {
        clearTimeout(timer);
    }
}
