"""Names for runs that were given none: `adjective-animal`, as the reference has them.

The words are our own. The library that the reference takes them from costs a sixth of the time in which the server
starts, and names only have to be sayable: they are not unique and nothing depends on them.
"""

from random import random, sample

ADJECTIVES = tuple(
    """
    able active adept agile airy alert amber ample ancient apt ardent astute autumn awake azure balmy basic beaming
    belated bold bonny bouncy brave breezy brief bright brisk broad bronze bubbly busy calm candid careful caring
    casual celestial cheerful cheery chestnut chipper civil classic clean clear clever cloudy coastal cobalt cool copper
    coral cordial cosmic cosy crafty creamy crimson crisp curious dainty dapper daring dashing dawning deft delicate
    dewy diligent dotted dreamy dynamic eager early earnest earthy easy elated electric elegant eminent emerald
    endless epic even exact exotic fair faithful famous fancy fast fearless festive fiery fine fleet floral fluent
    fluffy flying fond frank free fresh friendly frosty gallant generous gentle genial gifted gilded glad gleaming
    glowing golden good graceful grand grateful great green gutsy handy happy hardy hazel hearty helpful heroic honest
    humble icy ideal indigo inky inventive ivory jade jaunty jolly jovial joyful keen kind kindred lasting lavender
    learned legal lemon light lilac limber liquid lively logical loud lovely loyal lucid lucky lunar magenta magic
    maroon mellow melodic merry mighty mild mindful minty misty modern modest mossy mystic natural navy neat nectar
    nifty nimble noble nocturnal northern novel oaken ochre olive opal orange orderly organic original patient peaceful
    pearly perky pink placid plucky poetic polished polite prompt proud prudent purple quaint quick quiet radiant rapid
    rare ready real refined regal robust rosy royal ruby rugged rustic sable saffron sage sandy sapphire satin savvy
    scarlet secure sepia serene sharp shiny silent silken silver simple sincere sleek smart smiling smooth snowy
    snug sociable solar solid sonic sought southern spare sparkling speedy spicy spirited splendid spry stalwart starry
    steady steel stellar sterling still stoic stout striped strong sturdy subtle sunlit sunny super supple sure swift
    tactful tangerine tawny teal tender thankful thrifty tidal tidy timely topaz tranquil true trusty turquoise
    umber upbeat urban useful valiant vast velvet verdant versatile vibrant violet vivid wandering warm watchful
    western whimsical whole wild willing windy wise witty wooden woolly worthy young zealous zesty
    """.split()
)

ANIMALS = tuple(
    """
    aardvark albatross alligator alpaca anchovy anemone angelfish ant anteater antelope armadillo auk avocet axolotl
    baboon badger bandicoot barbel barnacle basilisk bass bat bear beaver bee beetle bison bittern blackbird bluejay
    boa boar bobcat bongo bonobo buffalo bulldog bullfinch bumblebee bustard butterfly buzzard caiman camel canary
    capybara caracal caribou carp cassowary cat caterpillar catfish centipede chameleon chamois cheetah chickadee
    chinchilla chipmunk cicada civet clam coati cobra cod collie condor coot coral corgi cormorant cougar cowrie
    coyote crab crane crayfish cricket crocodile crow cuckoo curlew dachshund dalmatian deer dingo dipper dolphin
    donkey dormouse dove dragon dragonfly duck dugong dunlin eagle earwig echidna eel egret eland elephant elk emu
    ermine falcon ferret finch firefly flamingo flounder fossa fox frog fulmar gannet gazelle gecko gerbil gibbon
    giraffe gnu goat godwit goldfinch goldfish goose gopher gorilla goshawk grasshopper grebe griffin grouse guillemot
    guppy haddock hake halibut hamster hare harrier hawk hedgehog hen heron herring hippo hoopoe hornbill hornet horse
    hound hummingbird husky hyena hyrax ibex ibis iguana impala jackal jackdaw jaguar jay jellyfish kakapo kangaroo
    kestrel kingfisher kinkajou kite kittiwake kiwi koala koi kookaburra kraken krill kudu ladybird lamb lamprey
    lapwing lark lemming lemur leopard limpet linnet lion lizard llama lobster locust lorikeet lynx lyrebird macaque
    macaw mackerel magpie mallard mamba manatee mandrill manta mantis markhor marlin marmoset marmot marten martin
    meerkat merlin mink minnow mole mongoose monkey moorhen moose mosquito moth mouse mule muskox mussel narwhal newt
    nightingale nightjar numbat nuthatch ocelot octopus okapi opossum orangutan orca oriole oryx osprey ostrich otter
    ouzel owl ox oyster panda pangolin panther parakeet parrot partridge peacock pelican penguin perch petrel pheasant
    phoenix pigeon pika pike pipit plaice platypus plover polecat pony poodle porcupine porpoise possum prawn ptarmigan
    puffin puma python quail quetzal quokka rabbit raccoon ram raven ray redstart reindeer rhea rhino robin rook
    salamander salmon sandpiper sardine scallop scorpion seahorse seal serval shark sheep shrew shrimp skate skink
    skua skunk sloth snail snake snipe sole sparrow spider spoonbill squid squirrel starfish starling stingray stoat
    stork sturgeon swallow swan swift tamarin tanager tapir tarantula tarsier teal tench tern terrapin terrier thrush
    tiger toad tortoise toucan trout tuna turbot turkey turtle unicorn urchin viper vole vulture wagtail wallaby
    walrus warbler warthog wasp waxwing weasel weaver weevil whale whippet whimbrel wigeon wildcat wolf wolverine
    wombat woodcock woodlark woodpecker worm wren wryneck yak zebra zebu
    """.split()
)


# Of names that are given together, so many begin alike.
_TOGETHER = 4


def several(count: int) -> list[str]:
    """So many names at once, of which a quarter each share an adjective and none an animal, up to 385 of them.

    An index by name has those that begin alike side by side: it changes a few of its pages then, and not one for each
    name.
    """
    made: list[str] = []
    while len(made) < count:
        animals = sample(ANIMALS, min(count - len(made), len(ANIMALS)))
        adjectives = sample(ADJECTIVES, _TOGETHER) * (len(animals) // _TOGETHER + 1)
        made += [f"{adjective}-{animal}" for adjective, animal in zip(adjectives, animals, strict=False)]
    return made


def slug() -> str:
    """Such as `gentle-otter`; about 150,000 of them."""
    # `random.choice` takes twice as long, to be fair to parts of the last bit.
    return f"{ADJECTIVES[int(random() * len(ADJECTIVES))]}-{ANIMALS[int(random() * len(ANIMALS))]}"
