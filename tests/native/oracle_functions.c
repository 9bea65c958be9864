/* Activations and their derivatives, of single scores and of an output layer. */
#include "native.h"
#include "oracle_formulas.h"

#include <float.h>

#define NAME(X) #X,
static const char *const activation_names[] = {FASTMLP_ACTIVATIONS(NAME) "softmax"};
const char *activation_name(int activation) { return activation_names[activation]; }

static double sigmoid(double z) { return 1 / (1 + exp(-z)); }
static const double PI = 3.14159265358979323846, LEAK = 0.01;
static const double SELU_SCALE = 1.0507009873554804934, SELU_ALPHA = 1.6732632423543772848;

/* erfc(-z / sqrt(2)) / 2, in whose tail the rounding of the argument x counts 2 x^2 times. musl's erfcl
   is no better than its erfc where a long double has 113 bits: there the rest of the argument is taken
   by the derivative. */
long double normal_cdf(long double z)
{
#if LDBL_MANT_DIG == 64 || defined(__GLIBC__)
    return erfcl(-z / sqrtl(2)) / 2;
#else
    const double high = 0.7071067811865476, low = -4.833646656726457e-17; /* 1 / sqrt(2) */
    const double x = -(double)z * high, rest = fma(-(double)z, high, -x) - (double)z * low;
    return 0.5 * erfc(x) - (isfinite(x) ? rest * exp(-x * x) * 0.56418958354775628695 : 0);
#endif
}

int hidden_activation(long number)
{
    const int activation = (int)(number % (ACTIVATION_softmax - 1));
    return activation < ACTIVATION_exp ? activation : activation + 1;
}

double oracle_activate(int activation, double z)
{
    switch (activation) {
    case ACTIVATION_sigmoid:
        return sigmoid(z);
    case ACTIVATION_tanh:
        return tanh(z);
    case ACTIVATION_hardtanh:
        return z < -1 ? -1 : z > 1 ? 1 : z;
    case ACTIVATION_relu:
        return z < 0 ? 0 : z;
    case ACTIVATION_leaky_relu:
        return z < 0 ? LEAK * z : z;
    case ACTIVATION_elu:
        return z < 0 ? expm1(z) : z;
    case ACTIVATION_selu:
        return SELU_SCALE * (z < 0 ? SELU_ALPHA * expm1(z) : z);
    case ACTIVATION_softplus:
        return softplus(z);
    case ACTIVATION_softsign:
        return isinf(z) ? copysign(1, z) : z / (1 + fabs(z));
    case ACTIVATION_exp:
        return exp(z);
    case ACTIVATION_silu:
        return fmax(z, -1e4) * sigmoid(z);
    case ACTIVATION_gelu:
        return fmax(z, -1e4) * (double)normal_cdf(z);
    case ACTIVATION_gelu_tanh:
        z = fmax(z, -1e4);
        return z * sigmoid(2 * sqrt(2 / PI) * (z + 0.044715 * z * z * z));
    case ACTIVATION_mish:
        return fmax(z, -1e4) * tanh(softplus(z));
    default:
        return z;
    }
}

double oracle_kept(int activation, double z)
{
    return activation >= ACTIVATION_silu && activation <= ACTIVATION_mish
               ? z
               : oracle_activate(activation, z);
}

double oracle_derivative(int activation, double a)
{
    const double z = a, s = sigmoid(z); /* where it is the score that was kept */
    double t;
    switch (activation) {
    case ACTIVATION_sigmoid:
        return a * (1 - a);
    case ACTIVATION_tanh:
        return 1 - a * a;
    case ACTIVATION_hardtanh:
        return fabs(a) < 1;
    case ACTIVATION_relu:
        return a > 0;
    case ACTIVATION_leaky_relu:
        return a > 0 ? 1 : LEAK;
    case ACTIVATION_elu:
        return a > 0 ? 1 : a + 1;
    case ACTIVATION_selu:
        return a > 0 ? SELU_SCALE : a + SELU_SCALE * SELU_ALPHA;
    case ACTIVATION_softplus:
        return -expm1(-a);
    case ACTIVATION_softsign:
        return (1 - fabs(a)) * (1 - fabs(a));
    case ACTIVATION_exp:
        return a;
    case ACTIVATION_silu:
        return s + z * s * (1 - s);
    case ACTIVATION_gelu:
        return (double)normal_cdf(z) + z * exp(-0.5 * z * z) / sqrt(2 * PI);
    case ACTIVATION_gelu_tanh:
        t = tanh(sqrt(2 / PI) * (z + 0.044715 * z * z * z));
        return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * sqrt(2 / PI) * (1 + 3 * 0.044715 * z * z);
    case ACTIVATION_mish:
        t = tanh(softplus(z));
        return t + z * (1 - t * t) * s;
    default:
        return 1;
    }
}

void oracle_output(int output, long n, const double *z, double *a)
{
    double total = 0, shift = output == ACTIVATION_softmax ? highest(n, z) : 0;
    for (long i = 0; i < n; i++)
        total += a[i] = output == ACTIVATION_softmax ? exp(z[i] - shift) : oracle_activate(output, z[i]);
    if (output == ACTIVATION_softmax)
        for (long i = 0; i < n; i++)
            a[i] /= total;
}
