/* Which op table a context uses. */
#include <string.h>

#include "core/cpu.h"
#include "graph/graph.h"

static const moth_op *const *table_of(moth_cpu cpu)
{
#ifdef MOTH_HAVE_X86_VARIANTS
    if (cpu == MOTH_CPU_AVX2) {
        return moth_ops_avx2;
    }
    if (cpu == MOTH_CPU_AVX512) {
        return moth_ops_avx512;
    }
#endif
    (void)cpu;
    return moth_ops_portable;
}

moth_status moth_ctx_set_cpu(moth_ctx *ctx, const char *name)
{
    MOTH_NEED(ctx, name);
    for (int cpu = 0; cpu < MOTH_CPU_COUNT; cpu++) {
        if (strcmp(name, moth_cpu_name((moth_cpu)cpu)) != 0) {
            continue;
        }
        if (!moth_cpu_runs((moth_cpu)cpu)) {
            return moth_fail(ctx, MOTH_ERR_UNSUPPORTED, "this processor, or this build, has no %s kernels", name);
        }
        ctx->ops = table_of((moth_cpu)cpu);
        return MOTH_OK;
    }
    return moth_fail(ctx, MOTH_ERR_ARGUMENT, "unknown kernel variant '%s': portable, avx2 or avx512", name);
}

const char *moth_ctx_cpu(const moth_ctx *ctx)
{
    if (!ctx) {
        return NULL;
    }
    for (int cpu = MOTH_CPU_COUNT - 1; cpu > 0; cpu--) {
        if (moth_cpu_runs((moth_cpu)cpu) && ctx->ops == table_of((moth_cpu)cpu)) {
            return moth_cpu_name((moth_cpu)cpu);
        }
    }
    return moth_cpu_name(MOTH_CPU_PORTABLE);
}
