// Convex MPC of one robot: condensed ADMM with the exact projection onto the friction pyramids.
// `convex_mpc.py` says what is computed; this text is compiled for the CPU and for CUDA.
// One block serves one robot. On CUDA a block has 64 threads, on the CPU it has one.
const int N = HORIZON;     // steps
const int ROWS = 6 * N;    // accelerations: three angular and three linear ones a step
const int FEET = 4 * N;    // feet, step by step
const int FORCES = 3 * FEET;
const int WIDTH = ROWS + 1;  // row of `inner`; odd, so that threads read different memory banks
#if defined(__CUDA_ARCH__)
const int threads = 64;
const int OWNED = 1;  // rows of a thread
#define OWN 0
#define SHARED __shared__
#define SYNC __syncthreads()
#else
const int threads = 1;
const int OWNED = ROWS;
#define OWN row
#define SHARED
#define SYNC
#endif
SHARED float inner[ROWS * WIDTH];  // d S^-1 + E E', scaled to ones on its diagonal; then its inverse
SHARED float levers[N * 36];       // angular part of E
SHARED float slope[ROWS];          // gradient of the cost in the accelerations
SHARED float scale[ROWS];
SHARED float right[ROWS];
SHARED float push[ROWS];
SHARED float force[FORCES];        // what is solved for, then the right-hand side of the next pass
SHARED float kept[FORCES];         // solution of the pass before, on its cones
SHARED float lagged[FORCES];       // dual of the pass before
SHARED float gap[FEET];            // distance of the solution from the cone
float rows[OWNED][ROWS];           // those of the inverse, in registers
const float unit = constants.unit;
const float dt = constants.dt;
const float d = constants.force_weight * unit * unit + constants.rho;
const float linear = unit / constants.mass;
const float *start = inputs.x0.data + 12 * robot;
const float *wanted = inputs.reference.data + 12 * N * robot;
const float *place = inputs.feet.data + 3 * FEET * robot;
const float *stands = inputs.stance.data + FEET * robot;
const float *pull = inputs.gravity.data + 3 * robot;
float *solution = outputs.forces.data + FORCES * robot;
float *dual = outputs.dual.data + FORCES * robot;
const float friction = inputs.mu.data[robot];

for (int at = lane; at < FORCES; at += threads) {
    kept[at] = solution[at];
    lagged[at] = dual[at];
}
// E: a foot at r that pushes with f gives the angular acceleration I^-1 r x f.
for (int foot = lane; foot < FEET; foot += threads) {
    const float x = place[3 * foot];
    const float y = place[3 * foot + 1];
    const float z = place[3 * foot + 2];
    const float cross[9] = {0.0f, -z, y, z, 0.0f, -x, -y, x, 0.0f};
    for (int a = 0; a < 3; ++a)
        for (int c = 0; c < 3; ++c) {
            float sum = 0.0f;
            for (int b = 0; b < 3; ++b) sum += constants.inverse_inertia.data[3 * a + b] * cross[3 * b + c];
            levers[36 * (foot / 4) + 12 * a + 3 * (foot % 4) + c] = unit * stands[foot] * sum;
        }
}
// Slope: the free response, without forces, against the reference.
for (int row = lane; row < ROWS; row += threads) {
    const int k = row / 6;
    const int a = row % 6;
    const float p0 = start[a];
    const float v0 = start[6 + a];
    const float g = a < 3 ? 0.0f : pull[a - 3];
    const float position_weight = dt * dt * constants.weights.data[a];
    const float velocity_weight = dt * constants.weights.data[6 + a];
    float sum = 0.0f;
    for (int i = k; i < N; ++i) {
        const float t = dt * (i + 1);
        const float position = p0 + v0 * t + 0.5f * g * t * t - wanted[12 * i + a];
        const float velocity = v0 + g * t - wanted[12 * i + 6 + a];
        sum += position_weight * (i - k + 0.5f) * position + velocity_weight * velocity;
    }
    slope[row] = sum;
}
SYNC;
for (int row = lane; row < ROWS; row += threads) {
    const int k = row / 6;
    const int a = row % 6;
    for (int column = 0; column < ROWS; ++column) {
        const int j = column / 6;
        const int b = column % 6;
        float value = a == b ? d * constants.inverse_hessian.data[(a * N + k) * N + j] : 0.0f;
        if (j == k) {
            for (int foot = 0; foot < 4; ++foot)
                for (int c = 0; c < 3; ++c) {
                    const float mass = linear * stands[4 * k + foot];
                    const int at = 36 * k + 3 * foot + c;
                    const float ea = a < 3 ? levers[at + 12 * a] : (a - 3 == c ? mass : 0.0f);
                    const float eb = b < 3 ? levers[at + 12 * b] : (b - 3 == c ? mass : 0.0f);
                    value += ea * eb;
                }
        }
        inner[row * WIDTH + column] = value;
    }
    scale[row] = 1.0f / sqrtf(inner[row * WIDTH + row]);
}
SYNC;
for (int row = lane; row < ROWS; row += threads)
    for (int column = 0; column < ROWS; ++column)
        inner[row * WIDTH + column] *= scale[row] * scale[column];
// Gauss-Jordan inverse in place; the matrix is symmetric and positive definite, so it needs no pivoting.
for (int p = 0; p < ROWS; ++p) {
    SYNC;
    const float pivot = 1.0f / inner[p * WIDTH + p];
    SYNC;
    for (int column = lane; column < ROWS; column += threads)
        inner[p * WIDTH + column] = column == p ? pivot : inner[p * WIDTH + column] * pivot;
    SYNC;
    for (int row = lane; row < ROWS; row += threads) {
        if (row == p) continue;
        const float factor = inner[row * WIDTH + p];
        // All loads of six columns come before their stores, so that they need not wait for these.
        for (int column = 0; column < ROWS; column += 6) {
            float mine[6];
            float other[6];
            for (int i = 0; i < 6; ++i) {
                mine[i] = inner[row * WIDTH + column + i];
                other[i] = inner[p * WIDTH + column + i];
            }
            for (int i = 0; i < 6; ++i) inner[row * WIDTH + column + i] = mine[i] - factor * other[i];
        }
        inner[row * WIDTH + p] = -factor * pivot;
    }
}
SYNC;
for (int row = lane; row < ROWS; row += threads) {
#pragma unroll
    for (int column = 0; column < ROWS; ++column) rows[OWN][column] = inner[row * WIDTH + column];
}
for (int pass = 0; pass <= constants.iterations; ++pass) {
    // Each foot: take the solution of the pass before, project it, and form the next right-hand side.
    for (int foot = lane; foot < FEET; foot += threads) {
        const int k = foot / 4;
        const int leg = foot % 4;
        float *mine = kept + 3 * foot;
        float *lag = lagged + 3 * foot;
        if (pass > 0) {
            float solved[3];
            float aimed[3];
            for (int c = 0; c < 3; ++c) {
                float back = linear * stands[foot] * push[6 * k + 3 + c];
                for (int a = 0; a < 3; ++a) back += levers[36 * k + 12 * a + 3 * leg + c] * push[6 * k + a];
                solved[c] = (force[3 * foot + c] - back) / d;
                aimed[c] = constants.alpha * solved[c] + (1.0f - constants.alpha) * mine[c] + lag[c];
            }
            const float ax = fabsf(aimed[0]);
            const float ay = fabsf(aimed[1]);
            const float more = ax > ay ? ax : ay;
            const float less = ax > ay ? ay : ax;
            const float both = (aimed[2] + friction * (ax + ay)) / (1.0f + 2.0f * friction * friction);
            const float one = (aimed[2] + friction * more) / (1.0f + friction * friction);
            float fz = friction * both <= less ? both : (friction * one <= more ? one : aimed[2]);
            fz = fz < constants.fz_min ? constants.fz_min : (fz > constants.fz_max ? constants.fz_max : fz);
            fz *= stands[foot];
            const float side = friction * fz;
            mine[0] = aimed[0] < -side ? -side : (aimed[0] > side ? side : aimed[0]);
            mine[1] = aimed[1] < -side ? -side : (aimed[1] > side ? side : aimed[1]);
            mine[2] = fz;
            float far = 0.0f;
            for (int c = 0; c < 3; ++c) {
                // A number that is not finite must not survive into the next tick.
                const bool finite = aimed[c] - aimed[c] == 0.0f;
                mine[c] = finite ? mine[c] : 0.0f;
                lag[c] = finite ? aimed[c] - mine[c] : 0.0f;
                const float distance = finite ? fabsf(solved[c] - mine[c]) : 1e9f;
                far = distance > far ? distance : far;
            }
            gap[foot] = far * stands[foot];
        }
        for (int c = 0; c < 3; ++c) {
            float gradient = linear * stands[foot] * slope[6 * k + 3 + c];
            for (int a = 0; a < 3; ++a) gradient += levers[36 * k + 12 * a + 3 * leg + c] * slope[6 * k + a];
            force[3 * foot + c] = constants.rho * (mine[c] - lag[c]) - gradient;
        }
    }
    SYNC;
    if (pass == constants.iterations) break;
    // push = (d S^-1 + E E')^-1 E force
    for (int row = lane; row < ROWS; row += threads) {
        const int k = row / 6;
        const int a = row % 6;
        float sum = 0.0f;
        for (int leg = 0; leg < 4; ++leg) {
            const float *f = force + 3 * (4 * k + leg);
            if (a < 3)
                for (int c = 0; c < 3; ++c) sum += levers[36 * k + 12 * a + 3 * leg + c] * f[c];
            else
                sum += linear * stands[4 * k + leg] * f[a - 3];
        }
        right[row] = scale[row] * sum;
    }
    SYNC;
    for (int row = lane; row < ROWS; row += threads) {
        float sum = 0.0f;
#pragma unroll
        for (int column = 0; column < ROWS; ++column) sum += rows[OWN][column] * right[column];
        push[row] = scale[row] * sum;
    }
    SYNC;
}
for (int at = lane; at < FORCES; at += threads) {
    solution[at] = kept[at];
    dual[at] = lagged[at];
}
if (lane == 0) {
    float far = 0.0f;
    for (int foot = 0; foot < FEET; ++foot) far = gap[foot] > far ? gap[foot] : far;
    outputs.residual.data[robot] = unit * far;
}
#undef OWN
#undef SHARED
#undef SYNC
