; bombs every fourth cell
step 12
first 3
add
bomb
jump 1
