/* Which kernel variants this processor can run. */
#ifndef MOTH_CORE_CPU_H
#define MOTH_CORE_CPU_H

typedef enum moth_cpu {
    MOTH_CPU_PORTABLE,
    MOTH_CPU_AVX2,   /* AVX2 and FMA */
    MOTH_CPU_AVX512, /* AVX-512 F, BW, DQ, VL */
    MOTH_CPU_COUNT
} moth_cpu;

/* Was the variant built, and does this processor run it? */
int moth_cpu_runs(moth_cpu cpu);

/* The best variant that was built and that the processor runs. */
moth_cpu moth_cpu_detect(void);

/* "portable", "avx2", "avx512". */
const char *moth_cpu_name(moth_cpu cpu);

#endif
