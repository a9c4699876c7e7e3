// Places facilities by random swaps that do not make it worse.
#include <cstdio>
#include <fstream>
#include <numeric>
#include <random>
#include <vector>

static const int SWAPS = 3;
static const unsigned SEED = 1;

int main(int count, char** words) {
    if (count < 2) return 2;
    std::ifstream file(words[1]);
    int n;
    file >> n;
    std::vector<std::vector<int>> flow(n, std::vector<int>(n)), far = flow;
    for (auto* matrix : {&flow, &far})
        for (auto& row : *matrix)
            for (auto& value : row) file >> value;
    std::vector<int> place(n);
    std::iota(place.begin(), place.end(), 0);
    auto cost = [&] {
        long total = 0;
        for (int i = 0; i < n; ++i)
            for (int j = 0; j < n; ++j) total += flow[i][j] * far[place[i]][place[j]];
        return total;
    };
    std::mt19937 chance(SEED);
    long best = cost();
    for (int swap = 0; swap < SWAPS; ++swap) {
        int i = chance() % n, j = chance() % n;
        std::swap(place[i], place[j]);
        long now = cost();
        if (now <= best) best = now;
        else std::swap(place[i], place[j]);
    }
    std::printf("facilities = %d\ncost = %ld\n", n, best);
}
