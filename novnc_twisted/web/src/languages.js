/*
 * The choice of the language in the panel.
 */
import { available, rememberLanguage } from './language.js';
import { withLanguage } from './location.js';
import { language } from './strings.js';

/** Fill the list.  A choice applies from the next visit: loading the page again would end the session. */
export function offerLanguages(list, hint) {
    for (const tag of available) {
        const name = new Intl.DisplayNames([tag], { type: 'language' }).of(tag);
        const option = new Option(name, tag, tag === language, tag === language);
        option.lang = tag;
        list.append(option);
    }
    list.addEventListener('change', () => {
        rememberLanguage(list.value);
        history.replaceState(history.state, '', withLanguage(location.href, list.value));
        hint.hidden = list.value === language;
    });
}
