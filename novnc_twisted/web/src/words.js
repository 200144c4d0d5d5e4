/*
 * Tables of texts: values in texts, plural forms, and English where a translation lacks a text.
 */

/** The text with its values; numbers are formatted for the language.  `count` chooses among plural forms. */
export function fill(text, values = {}, language = 'en') {
    const form = typeof text === 'string' ? text : text[plural(language, values.count)] ?? text.other;
    return form.replace(/\{(\w+)\}/g, (whole, name) => {
        const value = Object.hasOwn(values, name) ? values[name] : whole;
        return typeof value === 'number' ? value.toLocaleString(language) : value;
    });
}

function plural(language, count) {
    return new Intl.PluralRules(language).select(count);
}

/** The table `english` with the texts of `other` where it has them.  All plural forms of a text come from one table. */
export function merged(english, other = {}) {
    return Object.fromEntries(Object.entries(english).map(([name, value]) => {
        const translation = other[name];
        const leaf = typeof value === 'string' || 'other' in value;
        return [name, leaf ? translation ?? value : merged(value, translation)];
    }));
}
