// Fixed: what kernel.cpp must give.
void count_pairs(const float* x, const float* y, int points, float limit, int* counts);
