from .forest import forest as forest
from .knn import knn_outcomes as knn_outcomes
from .policies import best_single as best_single
from .policies import greedy as greedy
from .policies import random_choice as random_choice
