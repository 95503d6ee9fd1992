// Whether a text says nothing that can be seen. Signs without a shape of their own (a joiner, a mark for the order of bytes, a letter that only fills its place)
// belong to the words around them, where they stay as they were written; alone they are nothing.

// Spaces, controls, what Unicode says is to be ignored where it is not known, marks around annotations, and the empty sign of Braille.
const UNSEEN = /^[\s\p{Z}\p{Cc}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb\u2800]*$/u;

export const isBlank = (text: string): boolean => UNSEEN.test(text);
