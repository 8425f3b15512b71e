import { ApiError } from '../../apis/machinery/errors.ts';
import { outputLimitBytes } from './capture.ts';

/** Memory for the output of all commands whose answers have not been sent, in bytes. */
const budgetBytes = 64 * 1024 * 1024;
/** What one command may hold: stdout and stderr up to their limits. */
const shareBytes = 2 * outputLimitBytes;

/** The memory that captured output may take in sum; it is what bounds the number of commands at a time. */
export class OutputBudget {
  #leftBytes = budgetBytes;

  /**
   * Takes one command's share, until the returned function is called.
   * @throws ApiError TooManyRequests when no share is left.
   */
  reserve(): () => void {
    if (this.#leftBytes < shareBytes) {
      const most = Math.floor(budgetBytes / shareBytes);
      throw new ApiError('TooManyRequests', `${most} commands are running in this sandbox; wait for one to end`, {
        retryAfterSeconds: 1,
      });
    }
    this.#leftBytes -= shareBytes;
    let held = true;
    return () => {
      if (held) this.#leftBytes += shareBytes;
      held = false;
    };
  }
}
