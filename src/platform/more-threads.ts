/**
 * For a program that looks at file systems which may hang: a look that hangs keeps a thread of
 * Node's pool, and four are few. libuv reads the variable when it first needs a thread. The
 * threads cost address space, and memory only once they run.
 */
process.env['UV_THREADPOOL_SIZE'] = '64';
