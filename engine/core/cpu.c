#include "core/cpu.h"

int moth_cpu_runs(moth_cpu cpu)
{
#ifdef MOTH_HAVE_X86_VARIANTS
    __builtin_cpu_init();
    switch (cpu) {
    case MOTH_CPU_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma");
    case MOTH_CPU_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    default:
        break;
    }
#endif
    return cpu == MOTH_CPU_PORTABLE;
}

moth_cpu moth_cpu_detect(void)
{
    for (int cpu = MOTH_CPU_COUNT - 1; cpu > MOTH_CPU_PORTABLE; cpu--) {
        if (moth_cpu_runs((moth_cpu)cpu)) {
            return (moth_cpu)cpu;
        }
    }
    return MOTH_CPU_PORTABLE;
}

const char *moth_cpu_name(moth_cpu cpu)
{
    static const char *const names[] = { "portable", "avx2", "avx512" };
    return names[cpu];
}
