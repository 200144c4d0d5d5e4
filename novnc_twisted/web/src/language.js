/*
 * The language of the page, the first of: fixed by the operator, the address, the last choice, the operator's default,
 * the browser, English.
 */
import { languageOf } from './location.js';
import { remember } from './memory.js';
import { setting } from './site.js';

/* Language -> file beside the script, defined by build.js.  Without a build, there is only English. */
const FILES = typeof LANGUAGES === 'undefined' ? {} : LANGUAGES;
const KEY = 'language';
const TEXTS_TIMEOUT = 5000; // ms to wait for the texts before the page begins in English
const RIGHT_TO_LEFT = ['ar', 'fa', 'he', 'ur'];
const TRADITIONAL = /^zh-(hant|tw|hk|mo)\b/i; // their readers cannot easily read zh-CN

/** Every language that the page has. */
export const available = ['en', ...Object.keys(FILES)];

/** The first wanted language tag that the page has, compared whole and then by language alone; or undefined. */
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

/* null: the file was not loaded, so the page stays in English. */
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
