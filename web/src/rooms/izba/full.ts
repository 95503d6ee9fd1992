import type { Answer, Message } from '../../wire/types';

/** Whether an answer ended because nothing more fits into what the model can hold: then it cannot go on either. */
export const isFull = (answer: Answer): boolean => answer.context.used_tokens >= answer.context.n_ctx - 1;

/** Whether there may be more of it: not where it filled the memory. */
export const canGoOn = (message: Message): boolean => !(message.answer?.finish_reason === 'length' && isFull(message.answer));
