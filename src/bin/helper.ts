import '../platform/clean-start.ts';
import { serveHelper } from '../platform/helper.ts';
import { setProcessName } from '../platform/process-name.ts';

setProcessName('sanlock-helper');
serveHelper();
