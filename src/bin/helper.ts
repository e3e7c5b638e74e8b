import { serveHelper } from '../platform/helper.ts';
import { setProcessName } from '../platform/process-name.ts';

setProcessName('sanlock-helper');
serveHelper();
