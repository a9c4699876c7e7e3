# Fixed: builds the benchmark in the run's own folder, and runs it.
set -e
c++ -O2 -std=c++17 -ffp-contract=off -o bench bench.cpp kernel.cpp
./bench
