/* Recurrent ops against Keras 3.15 (JAX): layers of 2 units on 2 samples of 4 steps, whose kernel is the identity so
 * that their input is z. Then messages, and that a plan gives the bits of eager calls, gradients included. */
#include "apply.h"
#include "autograd/autograd.h"
#include "ops/recurrent.h"
#include "plan/plan.h"

enum { ROWS = 2, STEPS = 4, UNITS = 2, MAX_INPUTS = 6 };

typedef struct sequence_case {
    const char *name;
    int64_t attrs[3];
    moth_op_id op;
    bool states, mask, bias;
    double y[ROWS * STEPS * UNITS]; /* backward cases: put back in the order of time */
    double c[ROWS * UNITS];         /* last memory of lstm */
} sequence_case;

static const sequence_case sequence_cases[] = {
    { "lstm plain",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_lstm,
      false,
      false,
      false,
      { 0.0071100695, -0.10742302, 0.078655653, -0.07934624, 0.1815179, -0.025217799, 0.22044775, 0.076592289,
        0.10879491, 0.11424725, -0.1831736, 0.14576302, -0.365293, -0.098782033, -0.26438686, -0.32327002 },
      { 0.31031984, 0.14789864, -0.98214644, -0.61858964 } },
    { "lstm states",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_lstm,
      true,
      false,
      false,
      { -0.081075341, 0.048959557, -0.019987937, 0.036709502, 0.074256055, 0.11425428, 0.16182306, 0.2224174,
        0.15221526, 0.24593592, -0.20152734, 0.17694932, -0.36810532, -0.088407032, -0.26540735, -0.32121438 },
      { 0.22185527, 0.45912716, -0.98304003, -0.61293948 } },
    { "lstm mask",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_lstm,
      true,
      true,
      false,
      { 0.5, -0.25, -0.015598077, 0.15496494, -0.015598077, 0.15496494, 0.10791492, 0.31365198, 0.15221526, 0.24593592,
        -0.20152734, 0.17694932, -0.36810532, -0.088407032, -0.36810532, -0.088407032 },
      { 0.14698867, 0.72050053, -0.64334667, -0.11348002 } },
    { "lstm mask backwards",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 1 },
      MOTH_OP_lstm,
      true,
      true,
      false,
      { 0.099090964, 0.14452063, 0.099090964, 0.14452063, 0.012088831, 0.40165919, 0.012088831, 0.40165919, 0.078055397,
        0.14256513, -0.16772215, 0.10246623, -0.42219487, 0.0060809013, 0.1, 0.80000001 },
      { 0.30630732, 0.84025425, 0.096322142, 0.2049654 } },
    { "lstm backwards",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 1 },
      MOTH_OP_lstm,
      false,
      false,
      false,
      { 0.076930739, -0.065647081, 0.14589338, 0.076134175, 0.15416886, 0.12173113, 0.11485683, 0.094578668,
        0.068318576, 0.1080557, -0.18673371, 0.0076864129, -0.362068, -0.26878035, -0.24816391, -0.34872803 },
      { 0.39795154, -0.29409525, 0.085293926, 0.15656835 } },
    { "lstm relu hard",
      { MOTH_RECURRENT_RELU, MOTH_RECURRENT_HARD_SIGMOID, 0 },
      MOTH_OP_lstm,
      false,
      false,
      false,
      { 0.0091494378, 0, 0.14759997, 0.0053252643, 0.33914551, 0.14819904, 0.40879041, 0.36434814, 0.13535923,
        0.21831739, 0.031344887, 0.22931875, 0.0080333222, 0.050352715, 0.0027026089, 0.013294721 },
      { 0.58760214, 0.67407763, 0.006200043, 0.021966964 } },
    { "lstm softsign linear",
      { MOTH_RECURRENT_SOFTSIGN, MOTH_RECURRENT_LINEAR, 0 },
      MOTH_OP_lstm,
      false,
      false,
      false,
      { -0.037191909, 0.49903372, 0.094704203, 0.53025281, -0.14361638, 0.34769469, -0.30538735, -0.013759769,
        -0.37475419, -0.42772231, 0.30222103, 0.29947969, -0.49848005, -0.66309679, 0.48630816, -0.011899886 },
      { -0.3795734, -1.2605057, -0.93701386, -0.19555093 } },
    { "lstm elu",
      { MOTH_RECURRENT_ELU, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_lstm,
      false,
      false,
      false,
      { 0.0071227024, -0.07848525, 0.10562807, -0.057985924, 0.28010187, 0.017258519, 0.33341336, 0.20024005,
        0.11983492, 0.17496368, -0.14572363, 0.1790169, -0.27538076, -0.074449249, -0.20665595, -0.24482322 },
      { 0.44741732, 0.37071627, -0.84656531, -0.52123493 } },
    { "lstm selu",
      { MOTH_RECURRENT_SELU, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_lstm,
      false,
      false,
      false,
      { 0.0078632683, -0.2070355, 0.10875854, -0.16087185, 0.29743466, -0.094395734, 0.36298218, 0.12261596, 0.13229446,
        0.19315514, -0.44579104, 0.19912969, -0.64077991, -0.1929608, -0.40600362, -0.55720168 },
      { 0.47094086, 0.21902235, -1.3223326, -0.88747662 } },
    { "lstm exponential",
      { MOTH_RECURRENT_EXPONENTIAL, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_lstm,
      false,
      false,
      false,
      { 0.35854328, 0.28663257, 1.4547261, 0.61444956, 3.3306344, 3.4024439, 1.5269371, 52.712582, 1.2996484, 1.4317918,
        1.1934299, 2.2935255, 1.0400255, 1.9430125, 0.85803986, 1.3550457 },
      { 0.43722066, 4.0048337, 0.12357616, 0.43987924 } },
    { "rnn plain",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_TANH, 0 },
      MOTH_OP_simple_rnn,
      false,
      false,
      false,
      { 0.41635978, 0.85167128, 0.92479986, 0.60847712, 0.48866314, -0.71772265, -0.79143339, -0.63729382, -0.50858188,
        0.43602493, 0.72164375, 0.78483379, 0.86689597, -0.11885168, -0.38103196, -0.79453456 },
      { 0 } },
    { "rnn states",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_TANH, 0 },
      MOTH_OP_simple_rnn,
      true,
      false,
      false,
      { 0.65118915, 0.91927075, 0.94170403, 0.63955122, 0.49314618, -0.72280008, -0.79016638, -0.6346578, -0.54403692,
        0.070536666, 0.73504633, 0.84627163, 0.86681306, -0.14667824, -0.37782732, -0.78891349 },
      { 0 } },
    { "rnn mask",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_TANH, 0 },
      MOTH_OP_simple_rnn,
      true,
      true,
      false,
      { 0.5, -0.25, 0.94899541, 0.87053603, 0.94899541, 0.87053603, -0.76805615, -0.89439112, -0.54403692, 0.070536666,
        0.73504633, 0.84627163, 0.86681306, -0.14667824, 0.86681306, -0.14667824 },
      { 0 } },
    { "rnn mask backwards",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_TANH, 1 },
      MOTH_OP_simple_rnn,
      true,
      true,
      false,
      { 0.80208451, 0.80904341, 0.80208451, 0.80904341, -0.81177592, -0.76288807, -0.81177592, -0.76288807, -0.1251732,
        0.28975114, 0.94308859, 0.96002185, 0.73769206, -0.34476903, 0.1, 0.80000001 },
      { 0 } },
    { "rnn relu",
      { MOTH_RECURRENT_RELU, MOTH_RECURRENT_TANH, 0 },
      MOTH_OP_simple_rnn,
      false,
      false,
      false,
      { 0.44328031, 1.2622064, 1.5813998, 0.49384791, 0.94388896, 0, 0, 0, 0, 0.46731204, 1.2119503, 1.2305472,
        1.5538743, 0, 0, 0 },
      { 0 } },
    { "gru after",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_gru,
      false,
      false,
      true,
      { -0.069668405, -0.14064218, 0.67835033, 0.64284366, 0.41797581, 0.30920172, 0.14056104, 0.15864506, 0.67300689,
        0.64393932, 0.40520501, 0.30739698, 0.13008019, 0.15837961, 0.66900831, 0.64899182 },
      { 0 } },
    { "gru after states",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_gru,
      true,
      false,
      true,
      { 0.23344028, -0.3393487, 0.71739811, 0.60396159, 0.45273146, 0.27975917, 0.16672726, 0.13277267, 0.56797111,
        0.80084807, 0.3164326, 0.43112403, 0.061503273, 0.27080604, 0.64992291, 0.67090428 },
      { 0 } },
    { "gru after mask backwards",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 1 },
      MOTH_OP_gru,
      true,
      true,
      true,
      { 0.71688783, 0.60456055, 0.71688783, 0.60456055, 0.22662432, -0.33998391, 0.22662432, -0.33998391, 0.63749951,
        0.68706918, -0.30258837, 0.20719625, -0.10708471, 0.61511356, 0.1, 0.80000001 },
      { 0 } },
    { "gru before",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_gru_before,
      false,
      false,
      false,
      { 0.024352968, -0.15989749, 0.71569645, 0.7015003, 0.46395174, 0.29459879, 0.24280956, 0.11590029, 0.70173424,
        0.70791501, 0.4436228, 0.29627728, 0.22330332, 0.11809475, 0.71278721, 0.69943857 },
      { 0 } },
    { "gru before mask",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_gru_before,
      true,
      true,
      false,
      { 0.5, -0.25, 0.77440047, 0.660716, 0.77440047, 0.660716, 0.47978017, 0.4765037, 0.60456246, 0.82733017,
        0.35960469, 0.38425979, 0.16158238, 0.19419102, 0.16158238, 0.19419102 },
      { 0 } },
    { "gru before relu hard",
      { MOTH_RECURRENT_RELU, MOTH_RECURRENT_HARD_SIGMOID, 0 },
      MOTH_OP_gru_before,
      true,
      false,
      false,
      { 0.3040064, -0.17911296, 1.002072, 1.0455506, 0.83403444, 0.70368057, 0.59210956, 0.58897573, 0.7392891,
        1.0725234, 0.59243441, 0.69819051, 0.41074765, 0.57643014, 0.84276521, 1.0166235 },
      { 0 } },
};

/* With a quarter of the states left out: the cell's dropout masks in Keras are kept_states / 0.75, one for each gate.
 */
static const sequence_case kept_cases[] = {
    { "lstm kept",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_lstm,
      false,
      false,
      false,
      { 0.0071100695, -0.10742302, 0.076553866, -0.078809083, 0.17146826, -0.025609659, 0.20094626, 0.066239633,
        0.10879491, 0.11424725, -0.1632916, 0.15157197, -0.35249057, -0.097254016, -0.27288049, -0.32073724 },
      { 0.28744671, 0.135002, -1.0167114, -0.62142873 } },
    { "lstm kept states mask backwards",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 1 },
      MOTH_OP_lstm,
      true,
      true,
      false,
      { 0.093148701, 0.14034487, 0.093148701, 0.14034487, -0.009841105, 0.319085, -0.009841105, 0.319085, 0.041660924,
        0.13695753, -0.22005336, 0.10461012, -0.34867546, 0.040300112, 0.1, 0.80000001 },
      { 0.28493872, 0.8025738, 0.052407872, 0.2037462 } },
    { "rnn kept",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_simple_rnn,
      false,
      false,
      false,
      { 0.41635978, 0.85167128, 0.8699066, 0.37756521, -0.0062558129, -0.83084661, -0.86560506, -0.61954474,
        -0.50858188, 0.43602493, 0.70075864, 0.84290552, 0.91461664, 0.3675971, -0.20305093, -0.7684685 },
      { 0 } },
    { "rnn kept states mask backwards",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 1 },
      MOTH_OP_simple_rnn,
      true,
      true,
      false,
      { 0.92688209, 0.92216164, 0.92688209, 0.92216164, -0.88977712, -0.81587958, -0.88977712, -0.81587958, 0.20194228,
        0.73668861, 0.95696443, 0.95426548, 0.79113334, 0.086673893, 0.1, 0.80000001 },
      { 0 } },
    { "gru kept",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_gru,
      false,
      false,
      true,
      { -0.069668405, -0.14064218, 0.67863965, 0.6460489, 0.33920196, 0.27816376, 0.034476768, 0.11473129, 0.67300689,
        0.64393932, 0.32515621, 0.27403185, 0.02502922, 0.11301129, 0.66556793, 0.64454913 },
      { 0 } },
    { "gru kept states mask backwards",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 1 },
      MOTH_OP_gru,
      true,
      true,
      true,
      { 0.72837877, 0.64308804, 0.72837877, 0.64308804, 0.14833537, -0.35754022, 0.14833537, -0.35754022, 0.59742808,
        0.66781282, -0.2905747, 0.25679779, -0.11893712, 0.63228965, 0.1, 0.80000001 },
      { 0 } },
    { "gru before kept",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 0 },
      MOTH_OP_gru_before,
      false,
      false,
      false,
      { 0.024352968, -0.15989749, 0.72310632, 0.71055937, 0.38900325, 0.26286709, 0.1391177, 0.066518448, 0.70173424,
        0.70791501, 0.36274564, 0.25851509, 0.11942968, 0.064500786, 0.71315724, 0.70362276 },
      { 0 } },
    { "gru before kept states mask backwards",
      { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 1 },
      MOTH_OP_gru_before,
      true,
      true,
      false,
      { 0.77492988, 0.71108562, 0.77492988, 0.71108562, 0.23121881, -0.36856645, 0.23121881, -0.36856645, 0.64024937,
        0.71663111, -0.24003625, 0.16293424, -0.058867827, 0.59051603, 0.1, 0.80000001 },
      { 0 } },
};

/* amplitude f(rate i + phase) */
static moth_tensor *wave(int rank, const int64_t *shape, double (*f)(double), double amplitude, double rate,
                         double phase)
{
    moth_tensor *t = NULL;
    CHECK(moth_tensor_zeros(ctx, MOTH_FLOAT32, rank, shape, &t) == MOTH_OK);
    for (int64_t i = 0; t && i < moth_tensor_count(t); i++) {
        moth_tensor_set_element(t, i, amplitude * f(rate * (double)i + phase));
    }
    return own(t);
}

static int64_t gates_of(moth_op_id op)
{
    return op == MOTH_OP_lstm ? 4 : (op == MOTH_OP_simple_rnn ? 1 : 3);
}

/* One for each gate and unit of a row. */
static moth_tensor *kept_states(int64_t rows, int64_t width)
{
    moth_tensor *t = NULL;
    CHECK(moth_tensor_zeros(ctx, MOTH_UINT8, 2, (int64_t[]){ rows, width }, &t) == MOTH_OK);
    for (int64_t i = 0; t && i < rows * width; i++) {
        moth_tensor_set_element(t, i, i * 7 % 3 != 0);
    }
    return own(t);
}

/* Inputs of a case; returns their number. */
static int case_tensors(const sequence_case *s, bool kept, moth_tensor *in[MAX_INPUTS])
{
    int64_t width = gates_of(s->op) * UNITS;
    int n = 2, lstm = s->op == MOTH_OP_lstm;
    memset(in, 0, MAX_INPUTS * sizeof *in);
    in[0] = wave(SHAPE(ROWS, STEPS, width), sin, 1.5, 0.7, 0.3);
    in[1] = wave(SHAPE(UNITS, width), cos, 0.6, 0.9, 0);
    if (s->states) {
        in[n] = floats(SHAPE(ROWS, UNITS), FLOATS(0.5f, -0.25f, 0.1f, 0.8f));
        if (lstm) {
            in[n + 1] = floats(SHAPE(ROWS, UNITS), FLOATS(-0.4f, 1.2f, 0.3f, 0.6f));
        }
    }
    n += 1 + lstm;
    in[n++] = s->mask ? bytes(SHAPE(ROWS, STEPS), BYTES(0, 1, 0, 1, 1, 1, 1, 0)) : NULL;
    if (s->op == MOTH_OP_gru) {
        in[n++] = s->bias ? wave(SHAPE(3 * UNITS), sin, 0.3, 1.1, 0) : NULL;
    }
    if (kept) {
        in[n++] = kept_states(ROWS, width);
    }
    return n;
}

static void check_case(const sequence_case *s, bool kept)
{
    moth_tensor *in[MAX_INPUTS], *out[2];
    moth_attrs attrs = { .i = { s->attrs[0], s->attrs[1], s->attrs[2] }, .f = { kept ? 0.25 : 0 } };
    int n_in = case_tensors(s, kept, in);
    bool good = moth_apply(ctx, moth_op_of(ctx, s->op), &attrs, n_in, in, out, false) == MOTH_OK;
    CHECK_THAT(good, "%s: %s", s->name, moth_error(ctx));
    if (!good) {
        return;
    }
    double largest = 1;
    for (int i = 0; i < ROWS * STEPS * UNITS; i++) {
        largest = fmax(largest, fabs(s->y[i]));
    }
    check_values(s->name, own(out[0]), ROWS * STEPS * UNITS, s->y, 2e-6 * largest);
    if (s->op == MOTH_OP_lstm) {
        int64_t last = s->attrs[2] ? 0 : STEPS - 1;
        moth_tensor *c = DO(slice, ATTRS(1, last, last + 1), own(out[1]));
        check_values(s->name, c, ROWS * UNITS, s->c, 3e-6);
    }
}

static void test_values(void)
{
    for (size_t k = 0; k < sizeof sequence_cases / sizeof sequence_cases[0]; k++) {
        check_case(&sequence_cases[k], false);
    }
    for (size_t k = 0; k < sizeof kept_cases / sizeof kept_cases[0]; k++) {
        check_case(&kept_cases[k], true);
    }
}

/* ---- messages ---- */

static void test_errors(void)
{
    moth_tensor *z = wave(SHAPE(2, 3, 8), sin, 1, 1, 0), *r = wave(SHAPE(2, 8), sin, 1, 1, 0);
    moth_tensor *h = wave(SHAPE(2, 2), sin, 1, 1, 0), *mask = bytes(SHAPE(2, 3), BYTES(1, 1, 1, 1, 1, 1));
    CHECK_ERROR(
        DO(lstm, NULL, z, wave(SHAPE(3, 8), sin, 1, 1, 0)), MOTH_ERR_SHAPE,
        "lstm: takes z (b, t, 4 u), recurrent (u, 4 u), states (b, u) and a mask (b, t); got (2, 3, 8) and (3, 8)");
    CHECK_ERROR(DO(lstm, NULL, z, r, wave(SHAPE(3, 2), sin, 1, 1, 0)), MOTH_ERR_SHAPE,
                "lstm: takes z (b, t, 4 u), recurrent (u, 4 u), states (b, u) and a mask (b, t); "
                "got (2, 3, 8), (2, 8) and (3, 2)");
    CHECK_ERROR(DO(lstm, NULL, z, r, h, h, h), MOTH_ERR_DTYPE,
                "lstm: takes float32 tensors and a uint8 mask; got (2, 3, 8), (2, 8), (2, 2) and (2, 2)");
    CHECK_ERROR(DO(lstm, ATTRS(0, 99), z, r, h, h, mask), MOTH_ERR_ARGUMENT,
                "lstm: unknown activation 99; got (2, 3, 8), (2, 8), (2, 2) and (2, 2)");
    CHECK_ERROR(
        DO(gru, NULL, z, r), MOTH_ERR_SHAPE,
        "gru: takes z (b, t, 3 u), recurrent (u, 3 u), states (b, u) and a mask (b, t); got (2, 3, 8) and (2, 8)");
    moth_tensor *z3 = wave(SHAPE(2, 3, 6), sin, 1, 1, 0), *r3 = wave(SHAPE(2, 6), sin, 1, 1, 0);
    CHECK_ERROR(DO(gru, NULL, z3, r3, h, mask, h), MOTH_ERR_SHAPE,
                "gru: the recurrent bias must be float32 (6,); got (2, 3, 6), (2, 6), (2, 2) and (2, 3)");
    CHECK_ERROR(DO(simple_rnn, NULL, wave(SHAPE(2, 3, 2), sin, 1, 1, 0), wave(SHAPE(2, 2), sin, 1, 1, 0), h, mask, h),
                MOTH_ERR_SHAPE, "simple_rnn: kept must be uint8 (b, 2); got (2, 3, 2), (2, 2), (2, 2) and (2, 3)");
    CHECK_ERROR(DO(gru, (&(moth_attrs){ .f = { 1.5 } }), z3, r3), MOTH_ERR_ARGUMENT,
                "gru: the rate must lie in 0..1, not 1.5; got (2, 3, 6) and (2, 6)");
    CHECK_ERROR(DO(simple_rnn, NULL, h, h), MOTH_ERR_SHAPE,
                "simple_rnn: takes z (b, t, 1 u), recurrent (u, 1 u), states (b, u) and a mask (b, t); "
                "got (2, 2) and (2, 2)");
    CHECK_ERROR(DO(previous_steps, NULL, z, z), MOTH_ERR_SHAPE,
                "previous_steps: takes y (b, t, u), first (b, u) and kept (b, gates u); "
                "got (2, 3, 8) and (2, 3, 8)");
}

/* ---- plans ---- */

enum { BATCH = 150, LENGTH = 5, WIDTH = 7, RESULTS = 4 };

/* y and the gradients of z, recurrent and h0, all at once; kept may be NULL */
static void computed(moth_op_id op, moth_tensor *z, moth_tensor *recurrent, moth_tensor *h0, moth_tensor *mask,
                     moth_tensor *seed, moth_tensor *kept, moth_tensor *out[RESULTS])
{
    const moth_attrs attrs = { .i = { MOTH_RECURRENT_TANH, MOTH_RECURRENT_SIGMOID, 1 }, .f = { 0.25 } };
    moth_tensor *in[MAX_INPUTS] = { z, recurrent, h0 }, *x[] = { z, recurrent, h0 };
    int n = op == MOTH_OP_lstm ? 4 : 3;
    in[n++] = mask;
    n += op == MOTH_OP_gru; /* no bias */
    in[n] = kept;
    out[0] = apply(op, &attrs, kept ? n + 1 : n, in);
    CHECK(moth_gradients(ctx, 1, out, &seed, 3, x, out + 1) == MOTH_OK);
    for (int k = 1; k < RESULTS; k++) {
        own(out[k]);
    }
}

static void check_plan(moth_op_id op, bool dropping)
{
    int64_t width = gates_of(op) * WIDTH;
    moth_tensor *z = wave(SHAPE(BATCH, LENGTH, width), sin, 1, 0.7, 0),
                *r = wave(SHAPE(WIDTH, width), cos, 0.4, 0.9, 0);
    moth_tensor *h0 = wave(SHAPE(BATCH, WIDTH), cos, 1, 1.3, 0),
                *seed = wave(SHAPE(BATCH, LENGTH, WIDTH), sin, 1, 2, 0);
    moth_tensor *mask =
        DO(to, ATTRS(MOTH_UINT8), DO(gt, NULL, wave(SHAPE(BATCH, LENGTH), sin, 1, 5, 0), scalar(-0.5f)));
    moth_tensor *kept = kept_states(BATCH, width);
    moth_tensor *want[RESULTS], *got[RESULTS], *given[] = { z, h0, mask, seed, kept }, *inputs[5] = { NULL };
    z->requires_grad = r->requires_grad = h0->requires_grad = true;
    computed(op, z, r, h0, mask, seed, dropping ? kept : NULL, want);
    moth_graph graph;
    moth_trace_begin(ctx, &graph);
    for (int k = 0; k < 4 + dropping; k++) {
        int64_t shape[3] = { -1, given[k]->meta.shape[1], given[k]->meta.shape[2] };
        CHECK(moth_placeholder(ctx, given[k]->meta.dtype, given[k]->meta.rank, shape, &inputs[k]) == MOTH_OK);
        own(inputs[k])->requires_grad = k < 2;
    }
    computed(op, inputs[0], r, inputs[1], inputs[2], inputs[3], inputs[4], got);
    moth_trace_end(ctx, &graph);
    moth_arena arena = { 0 };
    moth_plan *plan = NULL;
    moth_plan_spec spec = {
        .n_inputs = 4 + dropping, .inputs = inputs, .n_outputs = RESULTS, .outputs = got, .capacity = BATCH
    };
    CHECK(moth_plan_new(ctx, &spec, &arena, &plan) == MOTH_OK);
    moth_run run = { .seed = 1, .step = 0 };
    for (int threads = 1; threads <= 3; threads += 2) {
        CHECK(moth_ctx_set_threads(ctx, threads) == MOTH_OK);
        CHECK(moth_plan_run(ctx, plan, BATCH, given, &run) == MOTH_OK);
        for (int k = 0; k < RESULTS; k++) {
            const moth_tensor *t = moth_plan_output(plan, k);
            size_t size = (size_t)moth_tensor_count(t) * sizeof(float);
            CHECK(moth_meta_same_shape(&t->meta, &want[k]->meta));
            CHECK_THAT(memcmp(moth_tensor_data(t), moth_tensor_data(want[k]), size) == 0,
                       "%s: result %d of the plan differs from the eager one", moth_op_of(ctx, op)->name, k);
        }
    }
    moth_plan_free(plan);
    moth_arena_free(&arena);
    moth_graph_clear(&graph);
}

static void test_plans(void)
{
    static const moth_op_id ops[] = { MOTH_OP_lstm, MOTH_OP_gru, MOTH_OP_gru_before, MOTH_OP_simple_rnn };
    for (int k = 0; k < 4; k++) {
        check_plan(ops[k], false);
        check_plan(ops[k], true);
    }
}

int main(void)
{
    ctx = moth_ctx_new();
    void (*const tests[])(void) = { test_values, test_errors, test_plans };
    for (size_t k = 0; k < sizeof tests / sizeof tests[0]; k++) {
        tests[k]();
        release_live();
    }
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
