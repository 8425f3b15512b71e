import { posix } from 'node:path';
import type Router from '@koa/router';
import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import { pathOfTarget } from '../workspace/path.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { sendFile } from './download.ts';
import { listDirectory } from './list.ts';
import { uploadForm, uploadJson } from './upload.ts';

const base = '/api/files';

/** `/api/files` as AgentCube's PicoD speaks it: list a directory, upload a file, download a file. */
export function fileRoutes(router: Router, workspace: Workspace): void {
  router.get(base, async (ctx) => {
    const path = new URLSearchParams(ctx.querystring).get('path');
    if (path === null || path === '') {
      throw new ApiError('BadRequest', "Missing 'path' query parameter; use ?path=. for the workspace itself");
    }
    await using directory = await openListed(workspace, path);
    ctx.body = await listDirectory(directory);
  });

  router.post(base, async (ctx) => {
    const isForm = /^multipart\/form-data\b/i.test(ctx.get('Content-Type'));
    ctx.body = isForm ? await uploadForm(ctx, workspace) : await uploadJson(ctx, workspace);
  });

  // The wildcard only routes: the path is read from the raw request target.
  router.get(`${base}/{*path}`, async (ctx) => {
    const path = pathOfTarget(ctx.req.url ?? '', `${base}/`);
    await using file = await workspace.openFile(path);
    await sendFile(ctx, file, posix.basename(posix.normalize(path)));
  });
}

async function openListed(workspace: Workspace, path: string): ReturnType<Workspace['openDirectory']> {
  try {
    return await workspace.openDirectory(path);
  } catch (error) {
    throw hasReason(error, 'NotFound') ? new ApiError('NotFound', 'Directory not found', { cause: error }) : error;
  }
}
